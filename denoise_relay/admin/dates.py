"""The years, months and days in which there are jobs, found by skipping through the index.

The admin's date hierarchy asks for distinct truncated dates, for which a database truncates
every row: 0.5 to 0.9 s for 100,000 jobs on SQLite. One look-up for each date takes 10 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from django.db.models import QuerySet
from django.utils import timezone

from denoise_relay.models import Job

LIMIT = 100
"""Dates in one answer: a month has 31 days, a year 12 months, and years are few."""


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _first_of_month(moment: datetime) -> datetime:
    return _midnight(moment).replace(day=1)


def _first_of_year(moment: datetime) -> datetime:
    return _first_of_month(moment).replace(month=1)


# For each kind, the beginning of a naive moment's period, and a step into the next period.
_PERIODS: dict[str, tuple[Callable[[datetime], datetime], timedelta]] = {
    "day": (_midnight, timedelta(days=1)),
    "month": (_first_of_month, timedelta(days=31)),
    "year": (_first_of_year, timedelta(days=366)),
}


class JobsByDate(QuerySet[Job] if TYPE_CHECKING else QuerySet):  # type: ignore[misc]
    """Jobs whose `datetimes` reads one row for each date instead of all rows."""

    def datetimes(
        self, field_name: str, kind: str, order: str = "ASC", tzinfo: tzinfo | None = None
    ) -> list[datetime]:
        """The beginnings of periods with jobs in them, in the current time zone, ascending,
        at most `LIMIT`. `kind` is `day`, `month` or `year`."""
        begin, step = _PERIODS[kind]
        moments = self.order_by(field_name).values_list(field_name, flat=True)
        found: list[datetime] = []
        moment = moments.first()
        while moment is not None and len(found) < LIMIT:
            period = begin(timezone.make_naive(moment, tzinfo))
            found.append(timezone.make_aware(period, tzinfo))
            following = timezone.make_aware(begin(period + step), tzinfo)
            moment = moments.filter(**{f"{field_name}__gte": following}).first()
        return found
