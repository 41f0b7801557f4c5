"""What one second of a recording costs the engine beside the model, and what a child loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from denoise_relay.engine.child import deepfilternet, lanes, pipeline, probe
from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.level import Leveller
from denoise_relay.engine.child.share import Share
from tests.unit.engine import material


class Copy:
    """Stands in for a state of the model."""

    frame_length = 480
    calls = 0

    def process(self, samples: Samples, cleaned: Samples) -> None:
        Copy.calls += 1
        cleaned[:] = samples

    def close(self) -> None:
        pass


@pytest.mark.parametrize("cores", [1, 2])
def test_a_second_passes_each_step_two_times(
    cores: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A step is some thirty numpy calls, which cost the same for 20 ms as for half a second."""
    seconds = 60
    source = material.make(tmp_path, "s16.wav", np.tile(material.speech(48_000), 15), rate=48_000)
    pushed = 0
    push = Leveller.push

    def counted(self: Leveller, samples: Samples) -> tuple[Samples, Samples]:
        nonlocal pushed
        pushed += 1
        return push(self, samples)

    monkeypatch.setattr(Leveller, "push", counted)
    monkeypatch.setattr(deepfilternet, "Channel", Copy)
    monkeypatch.setattr(lanes, "Channel", Copy)
    Copy.calls = 0

    pipeline.denoise_file(
        source,
        tmp_path / "out.flac",
        probe=probe.probe_file(source),
        share=Share(cores),
        on_progress=lambda share: None,
        on_writing=lambda: None,
    )

    assert pushed <= 2 * seconds + 1
    # With two cores, what a lane hears before its passage and the pieces that a cut makes.
    assert Copy.calls <= 2.4 * seconds


def test_a_child_does_not_load_what_only_its_parent_needs() -> None:
    """asyncio and what belongs to it would be half of its start."""
    code = (
        "import sys\n"
        "from denoise_relay.engine.child import __main__, parallel, pipeline, probe, segments\n"
        "print(*sorted({'asyncio', 'ssl', 'django', 'denoise_relay.engine.process'}"
        " & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert done.stdout.split() == []
