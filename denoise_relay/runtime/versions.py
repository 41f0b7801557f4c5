"""Versions of installed packages."""

from __future__ import annotations

import re
from importlib import metadata


def version(package: str) -> tuple[int, ...]:
    """The leading numbers of an installed version; empty when there is none."""
    try:
        text = metadata.version(package)
    except metadata.PackageNotFoundError:
        return ()
    found = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(map(int, found.group().split("."))) if found else ()
