"""Makes a comparison of selected jobs: finds the runs that there are, and queues those missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db import IntegrityError

from denoise_relay import access
from denoise_relay.access import Viewer
from denoise_relay.comparison.variants import Variant, offered, variant_of
from denoise_relay.exceptions import RecordingDeleted
from denoise_relay.lifecycle import Status
from denoise_relay.models import Comparison, ComparisonItem, Job

#: Recordings of one comparison at most.
RECORDING_LIMIT = 50
#: Longer recordings are left out: a page holds four of them decoded (460 MB in stereo).
LONGEST_SECONDS = 300.0


@dataclass(slots=True)
class Recording:
    """One uploaded file with the jobs of it that the viewer may see, the newest first."""

    #: The newest selected job: new runs are retries of it.
    selected: Job
    runs: list[Job] = field(default_factory=list)

    def run(self, variant: Variant) -> Job | None:
        """A job of this variant that is done or will be; done ones first."""
        can_be_queued = variant in offered()
        active = None
        for job in self.runs:
            if job.status == Status.DONE and job.result and variant_of(job) == variant:
                return job
            # A job in the queue has no backend yet.
            named = job.backend in ("", variant.backend) and job.preset == variant.preset
            if can_be_queued and named and not job.ended:
                active = active or job
        return active


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A variant to choose: how many of the recordings have been done so, or can be."""

    variant: Variant
    present: int
    missing: int
    can_be_queued: bool


def recordings_of(viewer: Viewer, selected: Iterable[Job]) -> list[Recording]:
    """The recordings of the selected jobs, as far as the viewer may see them.

    Left out are jobs that are not done, and recordings longer than `LONGEST_SECONDS`; and of their
    runs, those with options, because one would hear the options and not the variant.
    """
    found: dict[str, Recording] = {}
    for job in selected:
        short = (job.duration_seconds or 0.0) <= LONGEST_SECONDS
        if job.status == Status.DONE and short and access.allowed(viewer, job):
            found.setdefault(job.original.name or "", Recording(job))
    plain = Job.objects.filter(max_attenuation_db=None, loudness_lufs=None)
    runs = plain.filter(original__in=list(found)).select_related("owner", "api_key")
    for job in runs.order_by("-created_at", "-id"):
        if access.allowed(viewer, job):
            found[job.original.name or ""].runs.append(job)
    return list(found.values())


def choices(recordings: Sequence[Recording]) -> list[Choice]:
    """The variants that exist among the recordings' jobs, and those that can be queued."""
    can_be_queued = offered()
    existing = {
        variant_of(job)
        for recording in recordings
        for job in recording.runs
        if job.status == Status.DONE and job.result
    }
    found = []
    for variant in sorted(existing.union(can_be_queued)):
        present = sum(recording.run(variant) is not None for recording in recordings)
        found.append(
            Choice(
                variant=variant,
                present=present,
                missing=len(recordings) - present,
                can_be_queued=variant in can_be_queued,
            )
        )
    return found


def make(
    viewer: Viewer, title: str, recordings: Sequence[Recording], variants: tuple[Variant, Variant]
) -> Comparison | None:
    """Make a comparison and queue the runs that are missing; None if no recording can have both.

    Recordings that cannot have both are left out. Interrupted and called again, it finds the
    jobs that it has queued.
    """
    pairs = []
    for recording in recordings:
        # Nothing is queued, and billed, for a recording that cannot have both.
        if all(_can_have(viewer, recording, variant) for variant in variants):
            runs = [_run_or_queue(recording, variant) for variant in variants]
            if runs[0] is not None and runs[1] is not None:
                pairs.append((recording.selected.file_name, runs[0], runs[1]))
    if not pairs:
        return None
    try:
        return _insert(viewer, title, pairs, variants)
    except IntegrityError:  # a job was deleted in the meantime
        return None


def _insert(
    viewer: Viewer,
    title: str,
    pairs: Sequence[tuple[str, Job, Job]],
    variants: tuple[Variant, Variant],
) -> Comparison:
    # Loaded here, for the admin's sake (`admin.job_actions`).
    from denoise_relay.runtime.database import write_transaction

    first, second = variants
    # Short: each job was queued in a transaction of its own.
    with write_transaction() as alias:
        comparison = Comparison.objects.using(alias).create(
            title=title,
            created_by_id=viewer.logged_in_user.pk if viewer.logged_in_user else None,
            first_backend=first.backend,
            first_preset=first.preset,
            second_backend=second.backend,
            second_preset=second.preset,
        )
        ComparisonItem.objects.using(alias).bulk_create(
            ComparisonItem(comparison=comparison, file_name=name, first=a, second=b)
            for name, a, b in pairs
        )
    return comparison


def _can_have(viewer: Viewer, recording: Recording, variant: Variant) -> bool:
    return recording.run(variant) is not None or (
        variant in offered() and access.allowed(viewer, recording.selected, "change")
    )


def _run_or_queue(recording: Recording, variant: Variant) -> Job | None:
    from denoise_relay.jobs import actions
    from denoise_relay.jobs.options import Options

    try:
        run = recording.run(variant)
        return run or actions.retry(recording.selected, variant.preset, changed=Options())
    except (IntegrityError, RecordingDeleted):  # deleted in the meantime
        return None
