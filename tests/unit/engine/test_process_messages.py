"""What the parent accepts as messages of the child."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from denoise_relay import engine
from denoise_relay.engine import protocol
from tests.unit.engine.engine_runs import ignore, pretend

GOOD_PROBE = {
    "duration_seconds": 1.0,
    "sample_rate": 8000,
    "channels": 1,
    "codec": "flac",
    "container": "flac",
    "has_video": False,
    "samples_per_pixel": 0,
    "damaged": False,
    "announced_seconds": 0.0,
}


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"hello\n",
        b"[1]\n",
        b"{}\n",
        b'{"pct": 5}\n',
        b'{"pct": NaN, "message": "Reading audio"}\n',
        b'{"pct": 101, "message": "Reading audio"}\n',
        b'{"pct": true, "message": "Reading audio"}\n',
        b'{"pct": 5, "message": "<script>"}\n',
        b'{"result": {}}\n',
        json.dumps({"result": {**GOOD_PROBE, "sample_rate": "8000"}}).encode() + b"\n",
        json.dumps({"result": {**GOOD_PROBE, "duration_seconds": float("inf")}}).encode() + b"\n",
        json.dumps({"result": GOOD_PROBE}).encode(),  # cut before the end of the line
        b'{"rejected": {"code": "because", "message": "no"}}\n',
        b'{"rejected": 3}\n',
        b"[" * 10_000 + b"\n",
        b"x" * (protocol.MAX_LINE_BYTES * 2) + b"\n",
        b'{"pct": 5, "message": "Reading audio"}\n' * (protocol.MAX_LINES + 1),
        b"\xff\xfe\n",
    ],
    ids=lambda said: repr(said[:30]),
)
@pytest.mark.asyncio
async def test_nonsense_from_the_child_is_a_crash(
    said: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = tmp_path / "said"
    source.write_bytes(said)
    pretend(monkeypatch, f"import sys; sys.stdout.buffer.write(open({str(source)!r}, 'rb').read())")
    with pytest.raises(engine.EngineCrashed):
        await engine.probe(source)


@pytest.mark.asyncio
async def test_what_the_child_complains_of_is_kept_for_staff_and_bounded(
    monkeypatch: pytest.MonkeyPatch, long_file: Path
) -> None:
    pretend(
        monkeypatch,
        "import sys; sys.stderr.write('x' * 1_000_000 + ' the reason'); sys.exit(7)",
    )
    with pytest.raises(engine.EngineCrashed) as caught:
        await engine.probe(long_file)
    assert "status 7" in caught.value.detail
    assert caught.value.detail.endswith("the reason")
    assert len(caught.value.detail) < 10_000


@pytest.mark.asyncio
async def test_progress_that_falls_is_held_up(
    monkeypatch: pytest.MonkeyPatch, long_file: Path, target: Path
) -> None:
    lines = [{"pct": pct, "message": "Reading audio"} for pct in (10, 50, 20)]
    said = "\n".join(json.dumps(line) for line in [*lines, {"result": GOOD_PROBE}])
    pretend(monkeypatch, f"import sys; open(sys.argv[-1], 'w').close(); print({said!r})")
    seen: list[float] = []
    await engine.denoise(long_file, target, on_progress=lambda pct, message: seen.append(pct))
    assert seen == [10, 50, 50]


@pytest.mark.asyncio
async def test_success_without_a_result_is_a_crash(
    monkeypatch: pytest.MonkeyPatch, long_file: Path, target: Path
) -> None:
    pretend(monkeypatch, f"print({json.dumps({'probe': GOOD_PROBE})!r})")
    with pytest.raises(engine.EngineCrashed):
        await engine.denoise(long_file, target, on_progress=ignore)
