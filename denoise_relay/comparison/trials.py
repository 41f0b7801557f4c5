"""What one listener hears: which recording, which variant is A, what X is.

Order and sides follow from the comparison's secret seed, the listener, the method, the round and
the recording. So a reload shows the same again, nobody can compute them from what the page
shows, and a recording that becomes ready later does not change the others.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from denoise_relay.models import Comparison, ComparisonItem, Method


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One question about one recording."""

    item: ComparisonItem
    method: Method
    round: int
    #: Sorts the trials of a round.
    order: bytes
    #: Whether A is the second variant.
    swapped: bool
    #: What X is; "" for a preference.
    x: Literal["a", "b", ""]

    @property
    def sides(self) -> Sequence[str]:
        """The names of the recordings on the page: `o` is the original."""
        return ("a", "b", "x", "o") if self.x else ("a", "b", "o")

    def stored_name(self, side: str) -> str:
        """The stored file of a side; "" if there is none."""
        first, second = self.item.first, self.item.second
        if first is None or second is None or side not in self.sides:
            return ""
        if side == "o":
            return first.original.name or ""
        heard = self.x if side == "x" else side
        return ((second if (heard == "a") == self.swapped else first).result.name) or ""


def trial_of(
    comparison: Comparison, voter: object, item: ComparisonItem, method: Method, round_number: int
) -> Trial:
    """The trial of a recording, which is always the same. `voter` is the listener's key."""
    text = f"{voter}:{item.pk}:{method.value}:{round_number}"
    drawn = hmac.digest(comparison.seed.encode(), text.encode(), hashlib.sha256)
    return Trial(
        item=item,
        method=method,
        round=round_number,
        order=drawn[:8],
        swapped=bool(drawn[8] & 1),
        x=("a" if drawn[9] & 1 else "b") if method == Method.ABX else "",
    )
