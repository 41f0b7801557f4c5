"""The votes of a comparison as CSV, one line a vote, for a spreadsheet or a script."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable

from denoise_relay.comparison.variants import variants_of
from denoise_relay.frames import timestamp
from denoise_relay.models import Comparison, Vote

HEADER = (
    "comparison",
    "recording",
    "method",
    "round",
    "voter",
    "shown_as_a",
    "shown_as_b",
    "x",
    "answer",
    "preferred",
    "correct",
    "milliseconds",
    "at",
)
#: Rows read from the database at a time.
CHUNK_ROWS = 500
# What spreadsheets take for the beginning of a formula, or skip before one.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def csv_lines(comparison: Comparison) -> AsyncIterator[str]:
    """The header, then a line for each vote, oldest first."""
    yield _line(HEADER)
    votes = Vote.objects.filter(item__comparison=comparison).select_related("item", "voter")
    async for vote in votes.aiterator(chunk_size=CHUNK_ROWS):
        yield _line(_cells(comparison, vote))


def _cells(comparison: Comparison, vote: Vote) -> Iterable[object]:
    first, second = (variant.label for variant in variants_of(comparison))
    preferred = vote.preferred
    return (
        comparison.title,
        vote.item.file_name,
        vote.method,
        vote.round,
        vote.voter.get_username() if vote.voter else "",
        second if vote.swapped else first,
        first if vote.swapped else second,
        vote.x,
        vote.answer,
        "" if preferred is None else ("neither", first, second)[preferred],
        "" if vote.correct is None else int(vote.correct),
        "" if vote.milliseconds is None else vote.milliseconds,
        timestamp(vote.at),
    )


def _line(cells: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow([_guarded(cell) for cell in cells])
    return text.getvalue()


def _guarded(cell: object) -> object:
    """Text that a spreadsheet would run as a formula gets an apostrophe in front."""
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return f"'{cell}"
    return cell
