"""The admin: what staff see, what it costs, and what they may do."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from pytest_django import Settings

from denoise_relay.admin import jobs as jobs_admin
from denoise_relay.events import Fact
from denoise_relay.lifecycle import Status
from tests.db.admin.staff import LIST, page, staff, text
from tests.db.factories import append_and_refresh, fail, finish, stored_job, with_warning
from tests.db.presets import TWO_PRESETS


# The list
def test_list_shows_status_in_words(root: Client) -> None:
    fail(stored_job(file_name="bad.wav"), "No speech")
    append_and_refresh(stored_job(file_name="busy.wav"), Fact(pct=62.5), status=Status.PROCESSING)

    html = text(root, LIST)

    assert '<span class="denoise-badge denoise-error">Failed</span>' in html
    assert "62.5%" in html


# One job
def test_page_has_the_latest_events_in_order_as_text(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_admin, "TIMELINE_LENGTH", 3)
    job = stored_job(file_name="<b>bold</b>.wav")
    for n in range(1, 5):
        append_and_refresh(job, Fact(pct=n, message=f"<img src=x> step {n}"))

    html = text(root, page(job))

    assert re.findall(r"<td>&lt;img src=x&gt; step (\d)</td>", html) == ["2", "3", "4"]
    assert "Only the latest 3 events." in html
    assert "<img src=x>" not in html
    assert "<b>bold</b>" not in html


def test_page_plays_what_there_is(root: Client) -> None:
    waiting, done = stored_job(), finish(stored_job())

    assert text(root, page(waiting)).count("<audio ") == 1
    html = text(root, page(done))
    assert f'<audio controls preload="none" src="/jobs/{done.pk}/audio/denoised/"' in html
    assert html.count("<audio ") == 2


def test_pages_hold_no_inline_script_or_style(root: Client) -> None:
    job = finish(stored_job())
    fail(stored_job(), "No speech")

    for path in (LIST, page(job)):
        html = text(root, path)
        assert not re.findall(r"<script(?![^>]*\ssrc=)[^>]*>\s*[^<\s]", html)
        assert not re.findall(r"<style|\sstyle=|\son\w+=", html)


def test_nobody_edits_adds_or_deletes_a_job(root: Client) -> None:
    job = stored_job(file_name="mine.wav")

    assert root.post(page(job), {"file_name": "yours.wav"}).status_code == 403
    assert root.get(f"{LIST}add/").status_code == 403
    assert root.post(f"{LIST}{job.pk}/delete/", {"post": "yes"}).status_code == 403
    job.refresh_from_db()
    assert job.file_name == "mine.wav"


@pytest.mark.django_db
def test_staff_without_permission_see_nothing() -> None:
    job = stored_job()
    client = staff()

    assert client.get(LIST).status_code == 403
    assert client.get(page(job)).status_code == 403


def test_warnings_are_shown_and_filtered(root: Client) -> None:
    job = with_warning(stored_job(file_name="one.wav"), "No speech <b>was</b> found.")
    stored_job(file_name="two.wav")

    html = text(root, f"{LIST}?warning=yes")
    assert "one.wav" in html
    assert "two.wav" not in html
    assert "No speech &lt;b&gt;was&lt;/b&gt; found." in html
    assert "No speech &lt;b&gt;was&lt;/b&gt; found." in text(root, page(job))


# Presets
def test_list_and_page_say_how_a_job_is_done(root: Client, settings: Settings) -> None:
    settings.DENOISE_RELAY = TWO_PRESETS
    job = stored_job(file_name="one.wav", preset="swift", backend="local")
    stored_job(file_name="two.wav", preset="fine", backend="upstream")

    for query, others in (("preset=swift", "two.wav"), ("backend=local", "two.wav")):
        html = text(root, f"{LIST}?{query}")
        assert "one.wav" in html
        assert others not in html
    assert re.findall(r'<div class="readonly">(swift|local)</div>', text(root, page(job))) == [
        "swift",
        "local",
    ]


def test_presets_are_no_filter_where_there_is_nothing_to_choose(
    root: Client, settings: Settings
) -> None:
    settings.DENOISE_RELAY = {"BACKEND": "upstream"}
    stored_job()

    assert "?preset=" not in text(root, LIST)
