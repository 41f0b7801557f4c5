"""A comparison is made of what there is, and what is missing is queued."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, User

from denoise_relay.access import Viewer
from denoise_relay.comparison import making
from denoise_relay.comparison.variants import Variant
from denoise_relay.models import Comparison, Job
from tests.db.comparison.listening import BEST, FAST, again, comparison_of, done, person
from tests.db.factories import fail, stored_job

UPSTREAM = Variant("upstream", "")


@pytest.fixture
def root() -> Viewer:
    return Viewer(user=User.objects.create_superuser("root"))


def make(viewer: Viewer, *jobs: Job, first: Variant = BEST, second: Variant = FAST) -> Comparison:
    made = making.make(viewer, "Which?", making.recordings_of(viewer, jobs), (first, second))
    assert made is not None
    return made


def test_results_that_exist_are_used(root: Viewer) -> None:
    best = done(BEST)
    fast = again(best, FAST)

    made = make(root, best)

    assert Job.objects.count() == 2
    item = made.items.get()
    assert (item.first, item.second, item.file_name) == (best, fast, "voice.wav")
    assert made.created_by == root.user


def test_missing_runs_are_queued_as_new_jobs_of_the_same_owner(root: Viewer) -> None:
    owner = User.objects.create_user("ann")
    job = done(UPSTREAM, owner=owner)

    item = make(root, job).items.get()

    for run, variant in ((item.first, BEST), (item.second, FAST)):
        assert run is not None
        assert (run.status, run.preset, run.owner) == ("queued", variant.preset, owner)
        assert (run.original.name, run.retry_of) == (job.original.name, job)


def test_made_twice_it_waits_for_the_same_jobs(root: Viewer) -> None:
    job = done(BEST)

    first, second = make(root, job), make(root, job)

    assert Job.objects.count() == 2
    assert first.items.get().second == second.items.get().second


def test_a_result_with_options_is_not_compared(root: Viewer) -> None:
    softened = done(BEST, max_attenuation_db=6.0)

    item = make(root, softened).items.get()

    for run in (item.first, item.second):
        assert run is not None
        assert (run.status, run.retry_of, run.max_attenuation_db) == ("queued", softened, None)


def test_a_run_that_failed_is_queued_again(root: Viewer) -> None:
    job = done(BEST)
    failed = make(root, job).items.get().second
    assert failed is not None
    fail(failed, "No")

    assert make(root, job).items.get().second != failed


def test_two_jobs_of_one_recording_are_one_recording(root: Viewer) -> None:
    best = done(BEST)
    fast = again(best, FAST)

    assert make(root, best, fast).items.count() == 1


def test_what_cannot_be_queued_is_left_out_and_costs_nothing(root: Viewer) -> None:
    both, one = done(BEST), done(BEST)
    from_upstream = again(both, UPSTREAM)

    made = make(root, both, one, first=UPSTREAM, second=FAST)

    item = made.items.get()
    assert (item.first, item.file_name) == (from_upstream, both.file_name)
    assert Job.objects.filter(status="queued").count() == 1, "nothing for the one left out"


def test_nothing_to_compare_makes_nothing(root: Viewer) -> None:
    recordings = making.recordings_of(root, [done(BEST)])

    assert making.make(root, "Which?", recordings, (UPSTREAM, BEST)) is None
    assert not Comparison.objects.exists()
    assert Job.objects.count() == 1


def test_only_done_jobs_of_short_recordings_are_taken(root: Viewer) -> None:
    good = done(BEST, duration_seconds=making.LONGEST_SECONDS)
    long = done(BEST, duration_seconds=making.LONGEST_SECONDS + 1)
    waiting, failed = stored_job(), fail(stored_job(), "No")

    found = making.recordings_of(root, [good, long, waiting, failed])

    assert [recording.selected for recording in found] == [good]


def test_the_policy_decides_what_may_be_heard_and_what_may_be_queued() -> None:
    job = done(BEST)
    listener = Viewer(user=person("view_job"))
    recordings = making.recordings_of(listener, [job])

    assert making.recordings_of(Viewer(user=AnonymousUser()), [job]) == []
    assert [recording.selected for recording in recordings] == [job]
    assert making.make(listener, "Which?", recordings, (BEST, FAST)) is None
    assert Job.objects.count() == 1


def test_choices_say_what_is_there_and_what_is_to_be_run(root: Viewer) -> None:
    one, two = done(BEST), done(BEST)
    again(one, UPSTREAM)

    found = making.choices(making.recordings_of(root, [one, two]))

    assert [
        (choice.variant, choice.present, choice.missing, choice.can_be_queued) for choice in found
    ] == [(BEST, 2, 0, True), (FAST, 0, 2, True), (UPSTREAM, 1, 1, False)]


def test_a_comparison_counts_its_recordings_in_any_state() -> None:
    comparison = comparison_of(2)
    assert str(comparison) == "Which?"
    assert [str(item) for item in comparison.items.all()] == ["talk 0.wav", "talk 1.wav"]
