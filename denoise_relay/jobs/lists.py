"""A viewer's own jobs, newest first, a page at a time, at a cost that hardly grows with their jobs.

What makes a job theirs (owner, visitor, API key) is an index each. `OR` over two of them makes a
database sort all of the viewer's jobs, so each has a query of its own, in the order of its index,
and the database merges them. Only ids are read of the rows that are skipped: page 2,500 of 60,000
jobs takes 20 ms in place of 200.
"""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.db.models import Q, QuerySet, Subquery, UUIDField

from denoise_relay import access
from denoise_relay.access import Viewer
from denoise_relay.models import Job

ORDER = ("-created_at", "-id")
#: Jobs of a page's list that a policy without a filter is asked about.
ASKED_AT_MOST = 1000


class _Ids(Subquery):
    """The ids of a page, whose query has to select what it is ordered by."""

    template = '(SELECT "page"."id" FROM (%(subquery)s) "page")'


class OwnJobs:
    """The viewer's own jobs as `Paginator` wants them.

    Of a policy without a filter, each job of these is still to be asked about (`access.visible`).
    `before` leaves out that job and what is newer, `using` is a database's alias, and
    `annotations` are read, too, of the jobs of a page.
    """

    ordered = True

    def __init__(
        self,
        viewer: Viewer,
        *,
        before: Job | None = None,
        using: str | None = None,
        **annotations: Any,
    ) -> None:
        self._rows = Job.objects.using(using).annotate(**annotations)
        if not access.filters_lists():
            self._rows = self._rows.select_related("owner", "api_key")  # which the policy may read
        older = Q()
        if before is not None:
            # The first condition says the same less exactly, and is one that an index can use.
            moment = before.created_at
            older = Q(created_at__lte=moment) & (Q(created_at__lt=moment) | Q(pk__lt=before.pk))
        self._arms: list[QuerySet[Job]] = []
        claimed: list[Q] = []
        for claim in access.claims(viewer):
            mine = Job.objects.using(using).filter(claim, older)
            for other in claimed:
                mine = mine.exclude(other)
            claimed.append(claim)
            self._arms.append(access.narrowed(viewer, mine))

    def count(self) -> int:
        """How many there are: one query for each of what makes a job theirs."""
        return sum(arm.count() for arm in self._arms)

    def __getitem__(self, part: slice) -> list[Job]:
        """The jobs of a slice, in one query."""
        if not self._arms:
            return []
        arms = [arm.order_by().values_list("created_at", "id") for arm in self._arms]
        if connections[arms[0].db].features.supports_slicing_ordering_in_compound:
            # PostgreSQL merges what says that it is in order; SQLite finds that out by itself.
            arms = [arm.order_by(*ORDER) for arm in arms]
        first, *others = arms
        ids = (first.union(*others, all=True) if others else first).order_by(*ORDER)[part]
        page = _Ids(ids, output_field=UUIDField())
        return list(self._rows.filter(pk__in=page).order_by(*ORDER))


def listed(viewer: Viewer) -> OwnJobs | list[Job]:
    """What the viewer may see of their own jobs, for a paginator. Staff find all jobs in the admin.

    For a policy without a filter these are among the newest `ASKED_AT_MOST`.
    """
    jobs = OwnJobs(viewer)
    return jobs if access.filters_lists() else access.visible(viewer, jobs[:ASKED_AT_MOST])
