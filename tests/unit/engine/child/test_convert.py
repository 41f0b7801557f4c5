"""Every kind of file is read, and converted without loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from denoise_relay import engine
from denoise_relay.engine.child.container import Source, audio_stream, open_container
from denoise_relay.engine.child.convert import convert_file, largest_conversion_bytes
from denoise_relay.engine.child.decode import Samples, decode
from denoise_relay.engine.child.probe import probe_file
from denoise_relay.engine.child.readable import tables
from denoise_relay.formats import KNOWN, extension_of
from tests import corpus
from tests.corpus import Kind
from tests.unit.engine import material


def samples_of(path: Path) -> tuple[Samples, int]:
    """What the engine decodes, with up to 8 channels, and its rate."""
    with path.open("rb") as file, open_container(Source(file)) as container:
        blocks = list(decode(container, audio_stream(container), most_channels=8))
    return np.concatenate([block.samples for block in blocks], axis=1), blocks[0].rate


def converted(source: Path, target: Path) -> list[float]:
    """Convert; return the progress."""
    told: list[float] = []
    convert_file(source, target, probe=probe_file(source), on_progress=told.append)
    return told


def test_the_corpus_is_large_and_its_names_are_known() -> None:
    assert len(corpus.KINDS) >= 60
    assert len(corpus.BY_NAME) == len(corpus.KINDS)
    unknown = {kind.name for kind in corpus.KINDS if extension_of(kind.name) not in KNOWN}
    assert unknown == {"lab.ircam"}


@pytest.mark.parametrize("kind", corpus.KINDS, ids=lambda kind: kind.name)
def test_every_kind_is_read_and_converted_without_loss(kind: Kind, tmp_path: Path) -> None:
    source, target = tmp_path / "upload", tmp_path / "sent.flac"
    source.write_bytes(corpus.content(kind.name))
    facts = probe_file(source)
    told = converted(source, target)

    assert facts.duration_seconds == pytest.approx(corpus.SECONDS, abs=0.08)
    assert facts.channels == kind.channels
    assert facts.has_video == bool(kind.video)
    before, rate = samples_of(source)
    after, rate_after = samples_of(target)
    assert (rate_after, after.shape) == (rate, before.shape)
    # Sources with whole numbers come back as they are; half a step of 16 bits for what was lossy.
    whole_numbers = facts.codec.startswith(("pcm_s16", "pcm_s24", "pcm_u8", "flac", "alac"))
    error = np.abs(after - np.clip(before, -1, 1)).max()
    assert error <= (0 if whole_numbers else 0.51 / 32768)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0, abs=0.1)
    assert target.stat().st_size <= largest_conversion_bytes(facts)
    assert probe_file(target).container == "flac"


def test_a_quiet_lossy_passage_keeps_24_bits(tmp_path: Path) -> None:
    source = material.make(tmp_path, "opus.ogg", material.speech(48_000)[:48_000] * 0.005)
    converted(source, tmp_path / "sent.flac")
    before, _ = samples_of(source)
    after, _ = samples_of(tmp_path / "sent.flac")
    assert np.abs(after - before).max() <= 0.51 / 2**23


def test_a_change_in_midstream_is_converted_to_what_came_first(tmp_path: Path) -> None:
    clean = material.speech(44_100)[44_100:88_200]
    other = np.stack([material.speech(32_000)[:32_000]] * 2)
    parts = [
        material.make(tmp_path, "a.aac", clean).read_bytes(),
        material.make(tmp_path, "a.aac", other, rate=32_000).read_bytes(),
    ]
    source = tmp_path / "both.aac"
    source.write_bytes(b"".join(parts))
    converted(source, tmp_path / "sent.flac")
    after, rate = samples_of(tmp_path / "sent.flac")
    assert (rate, len(after)) == (44_100, 1)
    assert after.shape[1] / rate == pytest.approx(2, abs=0.15)


@pytest.mark.asyncio
async def test_the_child_converts(tmp_path: Path) -> None:
    source, target = tmp_path / "old.amr", tmp_path / "sent.flac"
    source.write_bytes(corpus.content("old.amr"))
    told: list[tuple[float, str]] = []
    made = await engine.convert(source, target, on_progress=lambda *said: told.append(said))
    assert made.extension == "flac"
    assert made.duration_seconds == pytest.approx(corpus.SECONDS, abs=0.03)
    assert samples_of(target)[0].shape == samples_of(source)[0].shape
    assert told[-1][1] == "Converting audio"
    assert {path.name for path in tmp_path.iterdir()} == {"old.amr", "sent.flac"}


@pytest.mark.asyncio
async def test_what_cannot_be_read_leaves_nothing_behind(tmp_path: Path) -> None:
    source = tmp_path / "notes.amr"
    source.write_bytes(b"#!AMR\n")
    with pytest.raises(engine.MediaRejected):
        await engine.convert(source, tmp_path / "sent.flac", on_progress=lambda *_: None)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.amr"}


def test_the_document_lists_what_is_read() -> None:
    """And the installed FFmpeg has all of it: an unknown name raises."""
    document = (Path(__file__).parents[4] / "docs" / "formats.md").read_text()
    rows = [line for line in tables() if line.startswith("| `")]
    assert len(rows) > 100
    # FFmpeg words its descriptions anew at times; names stay.
    names = {row.split("`")[1] for row in rows}
    assert {line.split("`")[1] for line in document.splitlines() if line.startswith("| `")} == names
