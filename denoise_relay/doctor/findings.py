"""What a diagnosis finds, and what a diagnosis is. Pure."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass


class Level(enum.StrEnum):
    """How bad it is."""

    #: As it should be.
    OK = "OK"
    #: It works, but not under load, or not for long.
    WARN = "WARN"
    #: It does not work.
    FAIL = "FAIL"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One fact about this installation."""

    level: Level
    text: str
    #: What to do about it; empty where nothing is to be done.
    remedy: str = ""


def ok(text: str) -> Finding:
    return Finding(level=Level.OK, text=text)


def warn(text: str, remedy: str) -> Finding:
    return Finding(level=Level.WARN, text=text, remedy=remedy)


def fail(text: str, remedy: str) -> Finding:
    return Finding(level=Level.FAIL, text=text, remedy=remedy)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One subject: how to examine it, and in how many seconds at most."""

    subject: str
    run: Callable[[], Awaitable[Sequence[Finding]]]
    seconds: float
    #: What to do when it fails in an unexpected way, or takes too long.
    remedy: str
