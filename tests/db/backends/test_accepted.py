"""Which files the contract takes as they are: content decides, and then the name."""

from __future__ import annotations

from pathlib import Path

import pytest

from denoise_relay import engine
from denoise_relay.backends.base import Media
from denoise_relay.backends.upstream.accepted import contract_extension
from denoise_relay.engine.child.probe import probe_file
from tests import corpus

pytestmark = pytest.mark.skipif(not engine.available(), reason="needs the local engine")


@pytest.mark.parametrize("kind", corpus.KINDS, ids=lambda kind: kind.name)
def test_the_contract_takes_what_it_lists(kind: corpus.Kind, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(corpus.content(kind.name))
    facts = probe_file(path)
    media = Media(
        extension=kind.name.rpartition(".")[2],
        container=facts.container,
        codec=facts.codec,
        has_video=facts.has_video,
    )
    taken = contract_extension(media)
    assert (taken is not None) is kind.as_it_is
    if media.extension in ("wav", "mp3", "m4a", "flac", "ogg", "mp4", "mov", "mkv", "webm", "avi"):
        assert taken == media.extension  # as it was before


@pytest.mark.parametrize(
    ("extension", "container", "codec", "taken"),
    [
        ("opus", "ogg", "opus", "ogg"),
        ("mp3", "wav", "pcm_s16le", "wav"),
        ("wav", "amr", "amrnb", None),
        ("mka", "matroska", "aac", None),
        ("spx", "ogg", "speex", None),
        ("", "mov", "aac", "m4a"),
    ],
)
def test_content_decides(extension: str, container: str, codec: str, taken: str | None) -> None:
    media = Media(extension=extension, container=container, codec=codec, has_video=False)
    assert contract_extension(media) == taken
