"""Enums as constraints of tables know them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


def values(members: Iterable[StrEnum]) -> list[str]:
    """Plain strings for constraints, so that migrations do not import the enums."""
    return sorted(member.value for member in members)
