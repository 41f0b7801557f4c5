"""Nothing in a trial says which variant is which, and nothing of it changes by a reload."""

from __future__ import annotations

import re

from django.contrib.auth.models import User
from django.test import Client

from denoise_relay.comparison.trials import trial_of
from denoise_relay.models import Comparison, Method
from tests.db.comparison.listening import (
    LISTENER,
    answer,
    async_client_of,
    client_of,
    comparison_of,
    listen_url,
    person,
    shown,
    url,
)
from tests.db.requests import fetch


def audio_urls(html: str) -> dict[str, str]:
    return dict(re.findall(r'data-side="(\w)" data-url="([^"]+)"', html))


def test_a_trial_names_no_variant_and_no_job(listener: Client) -> None:
    comparison = comparison_of(1)
    item = comparison.items.get()
    assert item.first
    assert item.second

    for method in ("preference", "abx"):
        html = listener.get(listen_url(comparison, method)).content.decode()
        assert len(audio_urls(html)) == (3 if method == "preference" else 4)
        secrets = {"local", "best", "fast", comparison.seed, item.first.original.name}
        for job in (item.first, item.second):
            secrets |= {str(job.pk), job.pk.hex, job.result.name}
        assert not [secret for secret in secrets if secret in html]
    assert "best" not in listener.get(url(comparison)).content.decode()


def test_recordings_come_without_anything_that_names_them(ann: User, listener: Client) -> None:
    comparison = comparison_of(1)
    html = listener.get(listen_url(comparison, "abx")).content.decode()
    client = async_client_of(ann)

    answers = {side: fetch(path, client=client) for side, path in audio_urls(html).items()}

    bodies = {side: answer.body for side, answer in answers.items()}
    assert bodies["o"] == b"original bytes"
    assert {bodies["a"], bodies["b"]} == {b"best 0", b"fast 0"}
    assert bodies["x"] in (bodies["a"], bodies["b"])
    for answered in answers.values():
        assert answered.status == 200
        assert answered["Content-Type"] == "application/octet-stream"
        assert answered["Cache-Control"] == "private, no-store"
        assert "ETag" not in answered.headers
        assert "Content-Disposition" not in answered.headers
    assert len({frozenset(answered.headers) for answered in answers.values()}) == 1


def test_a_reload_shows_the_same(ann: User, listener: Client) -> None:
    comparison = comparison_of(5)
    first = listener.get(listen_url(comparison)).content.decode()
    client = async_client_of(ann)
    body = fetch(audio_urls(first)["a"], client=client).body

    again = listener.get(listen_url(comparison)).content.decode()

    assert audio_urls(again) == audio_urls(first)
    assert fetch(audio_urls(again)["a"], client=client).body == body


def test_each_side_is_the_recording_that_the_vote_names(ann: User, listener: Client) -> None:
    comparison = comparison_of(6)
    client = async_client_of(ann)
    for _ in range(6):
        html = listener.get(listen_url(comparison)).content.decode()
        heard = fetch(audio_urls(html)["a"], client=client).body
        item = answer(listener, comparison, "a")
        assert item.votes.get().preferred == (1 if heard.startswith(b"best") else 2)


def test_x_is_the_side_that_the_vote_names(ann: User, listener: Client) -> None:
    comparison = comparison_of(6)
    client = async_client_of(ann)
    for _ in range(6):
        html = listener.get(listen_url(comparison, "abx")).content.decode()
        bodies = {side: fetch(path, client=client).body for side, path in audio_urls(html).items()}
        vote = answer(listener, comparison, "a", "abx").votes.get()
        assert bodies["x"] == bodies[vote.x]
        assert vote.correct == (bodies["x"] == bodies["a"])


def test_order_and_sides_differ_between_people_rounds_and_methods() -> None:
    comparison = comparison_of(3)
    items = list(comparison.items.all())

    def drawn(voter: int, method: Method, number: int) -> list[tuple[bytes, bool, str]]:
        trials = [trial_of(comparison, voter, item, method, number) for item in items]
        return [(trial.order, trial.swapped, trial.x) for trial in trials]

    all_of_them = [
        drawn(voter, method, number)
        for voter in range(10)
        for method in Method
        for number in range(1, 11)
    ]
    flat = [trial for trials in all_of_them for trial in trials]
    assert len({order for order, _, _ in flat}) == len(flat)
    assert 230 < sum(swapped for _, swapped, _ in flat) < 370  # of 600: five deviations
    assert 95 < sum(x == "a" for _, _, x in flat) < 205  # of 300


def test_another_seed_draws_anew() -> None:
    one, other = comparison_of(1), Comparison(title="other")
    item = one.items.get()

    assert one.seed != other.seed
    assert (
        trial_of(one, 1, item, Method.ABX, 1).order != trial_of(other, 1, item, Method.ABX, 1).order
    )


def test_recordings_beyond_a_listener_are_not_found(ann: User, listener: Client) -> None:
    comparison, other = comparison_of(1), comparison_of(1)
    fields = shown(listener, comparison)
    client = async_client_of(ann)
    item, foreign = fields["item"], other.items.get().pk

    def status(*args: object) -> int:
        return fetch(url(comparison, "comparison_audio", *args), client=client).status

    assert status("preference", item, 1, "a") == 200
    assert status("preference", item, 1, "x") == 404, "there is no X in a preference"
    assert status("preference", item, 1, "result") == 404
    assert status("preference", item, 2, "a") == 404, "the first round is not finished"
    assert status("preference", item, 0, "a") == 404
    assert status("preference", foreign, 1, "a") == 404
    assert status("preference", 10**30, 1, "a") == 404
    assert status("other", item, 1, "a") == 404


def test_who_may_not_hear_a_recording_does_not_hear_it_here(ann: User, listener: Client) -> None:
    comparison = comparison_of(1)
    item = comparison.items.get()
    path = url(comparison, "comparison_audio", "preference", item.pk, 1, "a")
    without_jobs = person("view_comparison", name="bob")

    assert fetch(path, client=async_client_of(ann)).status == 200
    assert fetch(path, client=async_client_of(without_jobs)).status == 404
    assert "0 of 0" in client_of(without_jobs).get(url(comparison)).content.decode()
    for user in (person(*LISTENER, name="eve", is_staff=False), person("view_job", name="joe")):
        client = async_client_of(user)
        for address in (path, url(comparison), listen_url(comparison)):
            assert fetch(address, client=client).status == 404
    assert fetch(url(comparison)).status == 404
