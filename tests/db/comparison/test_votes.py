"""Answers are kept once, in rounds, and only for what the listener was asked."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from denoise_relay.access import Viewer
from denoise_relay.comparison import votes
from denoise_relay.jobs.retention import prune_jobs
from denoise_relay.models import Answer, Comparison, Job, Method, Vote
from tests.db.checks import parallel
from tests.db.comparison.listening import (
    answer,
    comparison_of,
    listen_url,
    shown,
    url,
)


def test_each_recording_is_asked_once_then_come_the_results(listener: Client) -> None:
    comparison = comparison_of(3)

    asked = [answer(listener, comparison, "a").pk for _ in range(3)]

    assert sorted(asked) == sorted(comparison.items.values_list("pk", flat=True))
    after = listener.get(listen_url(comparison))
    assert after["Location"] == url(comparison, "comparison_results")


def test_the_first_answer_counts(ann: User, listener: Client) -> None:
    comparison = comparison_of(2)
    fields = shown(listener, comparison)

    for given in ("a", "b", "same"):
        response = listener.post(listen_url(comparison), fields | {"answer": given})
        assert response.status_code == 302

    vote = Vote.objects.get()
    assert (vote.answer, vote.voter, vote.round) == ("a", ann, 1)


@pytest.mark.django_db(transaction=True)
def test_answers_that_come_at_once_are_one(ann: User) -> None:
    comparison = comparison_of(1)
    viewer = Viewer(user=ann)
    trial = votes.progress(viewer, comparison, Method.PREFERENCE).trial
    assert trial is not None

    parallel([lambda: votes.vote(viewer, trial, Answer.A, None)] * 4)

    assert Vote.objects.count() == 1


@pytest.mark.parametrize(
    ("given", "kept"),
    [("4200", 4200), ("", None), ("-1", None), ("9" * 40, None), ("3600001", None)],
)
def test_the_time_to_answer_is_kept_if_it_can_be(
    listener: Client, given: str, kept: int | None
) -> None:
    answer(listener, comparison_of(1), "b", milliseconds=given)

    assert Vote.objects.get().milliseconds == kept


def test_another_round_begins_when_one_is_finished(listener: Client) -> None:
    comparison = comparison_of(2)
    answer(listener, comparison, "a")
    again = f"{listen_url(comparison)}?again=1"
    assert 'name="round" value="1"' in listener.get(again).content.decode(), "not finished"
    answer(listener, comparison, "a")

    html = listener.get(again).content.decode()

    assert 'name="round" value="2"' in html
    (item,) = [it for it in comparison.items.all() if f'name="item" value="{it.pk}"' in html]
    listener.post(listen_url(comparison), {"item": item.pk, "round": 2, "answer": "b"})
    assert shown(listener, comparison)["round"] == "2"
    assert Vote.objects.filter(round=2).count() == 1
    assert listener.get(url(comparison, "comparison_results")).status_code == 200


def test_rounds_come_to_an_end(listener: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(votes, "ROUND_LIMIT", 1)
    comparison = comparison_of(1)
    item = answer(listener, comparison, "a")

    assert listener.get(f"{listen_url(comparison)}?again=1").status_code == 302
    fields = {"item": item.pk, "round": 2, "answer": "a"}
    assert listener.post(listen_url(comparison), fields).status_code == 404


@pytest.mark.parametrize(
    ("method", "change", "status"),
    [
        ("preference", {"answer": "x"}, 400),
        ("preference", {"answer": ""}, 400),
        ("abx", {"answer": "same"}, 400),
        ("preference", {"item": "one"}, 400),
        ("preference", {"item": "999999999"}, 404),
        ("preference", {"round": "2"}, 404),
        ("preference", {"round": "0"}, 404),
        ("preference", {"round": ""}, 400),
    ],
)
def test_what_was_not_asked_is_refused(
    listener: Client, method: str, change: dict[str, str], status: int
) -> None:
    comparison = comparison_of(2)
    fields = shown(listener, comparison, method) | {"answer": "a"} | change

    assert listener.post(listen_url(comparison, method), fields).status_code == status
    assert not Vote.objects.exists()


def test_an_answer_needs_a_token(ann: User, listener: Client) -> None:
    comparison = comparison_of(1)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ann)

    fields = shown(listener, comparison) | {"answer": "a"}

    assert strict.post(listen_url(comparison), fields).status_code == 403


def test_recordings_that_are_not_ready_are_left_out(listener: Client) -> None:
    comparison = comparison_of(5)
    waiting, failed, gone, other, ready = comparison.items.all()
    Job.objects.filter(pk=waiting.first_id).update(status="processing", finished_at=None)
    Job.objects.filter(pk=failed.second_id).update(status="error", result="")
    gone.first.delete()
    Job.objects.filter(pk=other.second_id).update(backend="upstream", preset="")

    html = listener.get(url(comparison)).content.decode()

    assert "1 of 2 recordings are ready." in html
    assert "3 recordings are left out" in html
    assert answer(listener, comparison, "same") == ready
    assert listener.get(listen_url(comparison)).status_code == 302


def test_votes_outlive_the_jobs(listener: Client) -> None:
    comparison = comparison_of(1)
    answer(listener, comparison, "a")
    long_ago = timezone.now() - timedelta(days=9)
    Job.objects.update(created_at=long_ago, finished_at=long_ago)

    prune_jobs(Counter(), days=1, dry_run=False, progress=lambda tally: None)

    assert not Job.objects.exists()
    assert Vote.objects.count() == 1
    assert listener.get(url(comparison, "comparison_results")).status_code == 200


def test_a_comparison_without_recordings_has_nothing_to_hear(listener: Client) -> None:
    comparison = Comparison.objects.create(title="Empty")

    assert listener.get(listen_url(comparison))["Location"] == url(comparison)
    assert listener.get(url(comparison, "comparison_results"))["Location"] == url(comparison)
