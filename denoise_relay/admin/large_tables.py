"""Counting, dates and search of the admin list, at a cost that does not grow with the jobs.

The admin's date hierarchy selects distinct truncated dates, for which a database truncates the
date of every row: 0.5 to 0.9 s for 100,000 jobs on SQLite. One query for each date takes 10 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, cast

from django.contrib.auth import get_user_model
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.functional import cached_property

from denoise_relay.models import Job

#: Dates in one answer: a month has 31 days, a year 12 months, and years are few.
DATES_LIMIT = 100
#: Rows that the list counts, and so has pages for; older rows are found with filters.
COUNT_LIMIT = 10_000
#: Users that a search by name considers.
OWNERS_LIMIT = 100


class BoundedPaginator(Paginator[Job] if TYPE_CHECKING else Paginator):  # type: ignore[misc]
    """Stops counting at `COUNT_LIMIT`: a full count reads every row on PostgreSQL."""

    @cached_property
    def count(self) -> int:
        rows = cast("QuerySet[Job]", self.object_list)
        return rows.order_by()[:COUNT_LIMIT].count()


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
        at most `DATES_LIMIT`. `kind` is `day`, `month` or `year`."""
        begin, step = _PERIODS[kind]
        moments = self.order_by(field_name).values_list(field_name, flat=True)
        found: list[datetime] = []
        moment = moments.first()
        while moment is not None and len(found) < DATES_LIMIT:
            period = begin(timezone.make_naive(moment, tzinfo))
            found.append(timezone.make_aware(period, tzinfo))
            following = timezone.make_aware(begin(period + step), tzinfo)
            moment = moments.filter(**{f"{field_name}__gte": following}).first()
        return found


def matching(term: str) -> Q:
    """Jobs with the term in their file name, their upstream id or their owner's name."""
    users = get_user_model()
    named = users._default_manager.filter(**{f"{users.USERNAME_FIELD}__icontains": term})
    # A query of their own: a join would make the database read every user for every job.
    owners = list(named.values_list("pk", flat=True)[:OWNERS_LIMIT])
    return Q(file_name__icontains=term) | Q(upstream_id__startswith=term) | Q(owner__in=owners)
