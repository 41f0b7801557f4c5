"""Damages files at random, and prints what the engine says of each: run as a process of its own.

    python -m tests.unit.engine.child.damage SEED COUNT FOLDER

A codec that crashes ends this process, and so fails the test that started it.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from denoise_relay.engine.child.convert import convert_file
from denoise_relay.engine.child.probe import probe_file
from denoise_relay.engine.errors import MediaRejected
from tests import corpus


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Cut, with bits turned, with blocks lost or full of zeros: one of these, or several."""
    data = bytearray(content)
    for kind in rng.sample(["cut", "bits", "lost", "zeros"], rng.choice([1, 1, 2])):
        at = rng.randrange(len(data))
        length = rng.choice([64, 512, 4096])
        if kind == "cut":
            del data[max(at, 16) :]
        elif kind == "lost":
            del data[at : at + length]
        elif kind == "zeros":
            data[at : at + length] = bytes(len(data[at : at + length]))
        else:
            for _ in range(rng.choice([1, 8, 64])):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        if not data:
            return b"\0"
    return bytes(data)


def outcome(path: Path, target: Path) -> str:
    """What becomes of a file: `whole`, `damaged`, or a sentence."""
    target.unlink(missing_ok=True)
    try:
        facts = probe_file(path, rescue=True)
        convert_file(path, target, probe=facts, on_progress=lambda _share: None)
    except MediaRejected as error:
        return str(error)
    return "damaged" if facts.damaged else "whole"


def main(seed: int, count: int, folder: Path) -> None:
    rng = random.Random(seed)
    corpus.SECONDS = 3.0  # less than a second of damaged ones is refused
    for _ in range(count):
        name = rng.choice(corpus.KINDS).name
        path = folder / "upload"
        path.write_bytes(damaged(corpus.content(name), rng))
        sys.stdout.write(json.dumps([name, outcome(path, folder / "sent.flac")]) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
