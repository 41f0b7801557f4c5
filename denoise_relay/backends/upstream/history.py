"""Search the upstream's history, which is paged, may be reordered and may lag behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from denoise_relay.backends.upstream.client import PAGE_RECORDS, UpstreamClient
from denoise_relay.backends.upstream.errors import Refused
from denoise_relay.backends.upstream.messages import HistoryRecord

MAX_PAGES = 50
#: Pages overlap by this much: a record deleted meanwhile shifts the others to lower offsets.
OVERLAP_RECORDS = 5
#: Records this much older than our submission cannot be ours, whatever the clocks say.
CLOCK_SLACK = timedelta(days=1)

_RANK = {"success": 0, "pending": 1, "failed": 2}


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """The outcome of one search."""

    #: Matching records, the most useful first: success, pending, failed.
    found: tuple[HistoryRecord, ...]
    #: False when the history was longer than we were willing to read: absence proves nothing.
    complete: bool


async def search(
    client: UpstreamClient,
    matches: Callable[[HistoryRecord], bool],
    *,
    since: datetime | None = None,
    enough: int = 0,
) -> Search:
    """Page through the history until its end, or until a whole page is older than `since`.

    `enough` ends the search early, after that many matches. Errors of the client pass: a
    search that failed is not a search that found nothing.
    """
    oldest = since - CLOCK_SLACK if since else None
    seen: dict[str, HistoryRecord] = {}
    offset = 0
    complete = False
    for _ in range(MAX_PAGES):
        try:
            page = await client.history(offset=offset)
        except Refused as exc:
            if offset and exc.status == 400:
                break  # some servers refuse an offset beyond the end; we cannot be sure
            raise
        fresh = [record for record in page if record.id not in seen]
        seen.update((record.id, record) for record in page)
        found = [record for record in seen.values() if matches(record)]
        # No page size is assumed, for servers cap it: the end is a page with nothing new.
        if not fresh or (oldest is not None and _past(page, oldest)):
            complete = True
            break
        if enough and len(found) >= enough:
            break
        offset += max(1, len(page) - (OVERLAP_RECORDS if len(page) >= PAGE_RECORDS else 0))
    ranked = sorted(
        (record for record in seen.values() if matches(record)),
        key=lambda record: _RANK.get(record.status, 3),
    )
    return Search(found=tuple(ranked), complete=complete)


def _past(page: list[HistoryRecord], oldest: datetime) -> bool:
    """Whether the page is too old, and those behind it too: newest first is only a promise."""
    created = [_moment(record.created_at) for record in page]
    known = [moment for moment in created if moment is not None]
    return len(known) == len(created) and max(known) < oldest and known[0] > known[-1]


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    # Without an offset it may be in any time zone: reading on is safer than guessing.
    return moment if moment.tzinfo else None
