"""Five hundred damaged files: each is read, read in part, or refused with a sentence."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from denoise_relay.engine.child import limits

ROOT = Path(__file__).parents[4]
COUNT = 100
SENTENCES = re.compile(r"[A-Z][^\n]{20,400}\.")


@pytest.mark.parametrize("seed", range(5))
def test_only_sound_or_a_sentence(seed: int, tmp_path: Path) -> None:
    """In a process with the memory of the engine's child: a codec may crash, or take all there is.

    What a job makes of these outcomes: done, done with a warning, or the sentence
    (`tests/db/worker/test_rescue.py`).
    """
    done = subprocess.run(
        [
            *("sh", "-c", f'ulimit -v {limits.MEMORY_BYTES // 1024}; exec "$0" "$@"'),
            *(sys.executable, "-m", "tests.unit.engine.child.damage"),
            *(str(seed), str(COUNT), str(tmp_path)),
        ],
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=55,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    outcomes = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('["')]
    assert len(outcomes) == COUNT
    said = [outcome for _name, outcome in outcomes]
    others = [text for text in said if text not in ("whole", "damaged")]
    assert {"whole", "damaged"} <= set(said)
    assert others
    assert [text for text in others if not SENTENCES.fullmatch(text)] == []
