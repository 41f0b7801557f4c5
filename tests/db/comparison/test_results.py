"""What the votes say, who may see it, and the CSV."""

from __future__ import annotations

import csv
import io

import pytest
from django.contrib.auth.models import User
from django.test import Client

from denoise_relay.comparison.results import results_of
from denoise_relay.comparison.trials import trial_of
from denoise_relay.models import Comparison, ComparisonItem, Method, Vote
from tests.db.comparison.listening import (
    LISTENER,
    answer,
    async_client_of,
    client_of,
    comparison_of,
    person,
    url,
)
from tests.db.requests import fetch


def prefer(comparison: Comparison, *variants: int) -> None:
    """One round for each preferred variant (0: neither), of one recording."""
    item = comparison.items.first()
    assert item is not None
    first = item.votes.count()
    for number, variant in enumerate(variants, start=first + 1):
        # Shown in turn as A and as B.
        swapped = number % 2 == 0
        given = "same" if not variant else "a" if (variant == 1) != swapped else "b"
        Vote.objects.create(
            item=item, method="preference", round=number, swapped=swapped, answer=given
        )


def recognise(comparison: Comparison, *correct: bool) -> None:
    item = comparison.items.first()
    for number, right in enumerate(correct, start=1):
        Vote.objects.create(
            item=item,
            method="abx",
            round=number,
            swapped=False,
            x="a",
            answer="a" if right else "b",
            correct=right,
        )


def test_too_few_votes_say_nothing() -> None:
    comparison = comparison_of(1)
    prefer(comparison, *[2] * 14, *[1] * 6, 0, 0)

    found = results_of(comparison).preference

    assert [share.votes for share in found.shares] == [6, 14]
    assert found.ties == 2
    assert found.p == pytest.approx(0.1153, abs=1e-4)
    assert found.sentence == (
        "local, fast was preferred in 14 of 20 votes (70%, 95% interval 48–85%): "
        "not enough votes to say."
    )


def test_many_votes_say_something() -> None:
    comparison = comparison_of(1)
    prefer(comparison, *[1] * 15, *[2] * 5)

    assert results_of(comparison).preference.sentence == (
        "local, best was preferred in 15 of 20 votes (75%, 95% interval 53–89%): "
        "more than chance explains."
    )


def test_one_vote_and_none() -> None:
    comparison = comparison_of(1)
    assert results_of(comparison).preference.sentence == "Nobody has preferred one yet."
    assert results_of(comparison).abx.sentence == "Nobody has been asked for X yet."
    prefer(comparison, 1)
    assert "in 1 of 1 vote (100%" in results_of(comparison).preference.sentence
    prefer(comparison, 2)
    assert results_of(comparison).preference.sentence == "Both were preferred equally often."


def test_x() -> None:
    comparison = comparison_of(1)
    recognise(comparison, *[True] * 12, *[False] * 4)
    assert results_of(comparison).abx.sentence == (
        "X was recognised in 12 of 16 trials (75%, 95% interval 51–90%): the two can be told apart."
    )


def test_guessing_is_no_recognition() -> None:
    comparison = comparison_of(1)
    recognise(comparison, *[True] * 11, *[False] * 5)
    assert "does not show that the two can be told apart" in results_of(comparison).abx.sentence
    assert results_of(comparison).preference.shares[0].of == 0


# Who sees it
def test_listeners_see_the_results_when_they_have_finished(listener: Client) -> None:
    comparison = comparison_of(2)
    results = url(comparison, "comparison_results")
    answer(listener, comparison, "a")
    for path in (results, f"{results}?reveal=1"):
        assert listener.get(path)["Location"] == url(comparison)
    assert results not in listener.get(url(comparison)).content.decode()

    answer(listener, comparison, "b")

    html = listener.get(results).content.decode()
    assert "local, best" in html
    assert "local, fast" in html
    assert results in listener.get(url(comparison)).content.decode()


def test_who_may_change_comparisons_may_reveal_them() -> None:
    comparison = comparison_of(2)
    client = client_of(person("change_comparison"))
    results = url(comparison, "comparison_results")

    assert client.get(results).status_code == 302
    assert f"{results}?reveal=1" in client.get(url(comparison)).content.decode()
    html = client.get(f"{results}?reveal=1").content.decode()
    assert "You have not finished a round yourself" in html


# CSV
def rows(user: User, comparison: Comparison) -> list[dict[str, str]]:
    response = fetch(url(comparison, "comparison_csv"), client=async_client_of(user))
    assert response.status == 200
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].startswith("attachment")
    return list(csv.DictReader(io.StringIO(response.body.decode())))


def test_csv_has_a_line_for_each_vote(ann: User, listener: Client) -> None:
    comparison = comparison_of(2)
    for _ in range(2):
        answer(listener, comparison, "a", milliseconds="1500")
    item = answer(listener, comparison, "b", "abx")
    trial = trial_of(comparison, ann.pk, item, Method.ABX, 1)

    *preferences, abx = rows(ann, comparison)

    for row in preferences:
        assert row["preferred"] == row["shown_as_a"]
        assert {row["shown_as_a"], row["shown_as_b"]} == {"local, best", "local, fast"}
        assert (row["method"], row["round"], row["voter"]) == ("preference", "1", "ann")
        assert (row["answer"], row["x"], row["correct"]) == ("a", "", "")
        assert row["milliseconds"] == "1500"
    assert (abx["x"], abx["answer"], abx["preferred"]) == (trial.x, "b", "")
    assert abx["correct"] == ("1" if trial.x == "b" else "0")
    assert abx["recording"] == item.file_name


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_csv_holds_no_formula(start: str) -> None:
    comparison = comparison_of(1)
    text = f"{start}HYPERLINK(1)"
    Comparison.objects.update(title=text)
    ComparisonItem.objects.update(file_name=text)
    prefer(comparison, 1)

    (row,) = rows(person("change_comparison", name="+bob"), comparison)

    assert (row["comparison"], row["recording"]) == (f"'{text}", f"'{text}")


def test_csv_is_for_those_who_may_see_the_results(ann: User, listener: Client) -> None:
    comparison = comparison_of(2)
    path = url(comparison, "comparison_csv")
    answer(listener, comparison, "a")
    assert fetch(path, client=async_client_of(ann)).status == 404
    answer(listener, comparison, "a")
    assert fetch(path, client=async_client_of(ann)).status == 200
    assert fetch(path, client=async_client_of(person(*LISTENER, name="new"))).status == 404
