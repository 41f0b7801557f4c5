"""What the commands of this site share at the terminal: port numbers, and lines at once."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable

from django.core.management.base import OutputWrapper


def port_before(following: int) -> Callable[[str], int]:
    """A type for argparse: a port after which there are `following` more."""

    def port(text: str) -> int:
        last = 65535 - following
        if not text.isdecimal() or not 1 <= int(text) <= last:
            raise argparse.ArgumentTypeError(f"{text!r} is not a port between 1 and {last}")
        return int(text)

    return port


def saying(output: OutputWrapper) -> Callable[[str], None]:
    """Print at once, as long as somebody reads it."""

    def say(text: str) -> None:
        # Nobody may be left to read it, and that must not keep us from ending the children.
        with contextlib.suppress(OSError):
            output.write(text)
            # Whoever reads us through a pipe must not wait for a full buffer.
            output.flush()

    return say
