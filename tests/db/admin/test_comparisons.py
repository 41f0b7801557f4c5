"""Comparisons in the admin: the action, the page that makes one, and the list."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from pytest_django import Settings

from denoise_relay.comparison import making
from denoise_relay.models import Comparison, Job
from tests.db.admin.staff import LIST, staff, text
from tests.db.comparison.listening import BEST, FAST, again, comparison_of, done
from tests.db.factories import stored_job

COMPARISONS = "/admin/denoise_relay/comparison/"
KEYS = {"first": BEST.key, "second": FAST.key, "title": "Which?"}


def select(client: Client, *jobs: Job) -> str:
    """Run the action; return where it leads."""
    data = {"action": "compare_selected", "_selected_action": [job.pk for job in jobs]}
    response = client.post(LIST, data)
    assert response.status_code == 302
    return response["Location"]


def test_selected_jobs_are_compared(root: Client) -> None:
    one, two = done(BEST, file_name="one.wav"), done(BEST, file_name="two.wav")
    again(one, FAST)
    path = select(root, one, two, stored_job(file_name="waiting.wav"))
    html = text(root, path)
    assert "one.wav" in html
    assert "two.wav" in html
    assert "waiting.wav" not in html
    assert "local, fast (1 new job)" in html
    assert 'value="2 recordings"' in html, "the title names no variant"

    response = root.post(path, KEYS)

    made = Comparison.objects.get()
    assert response["Location"] == f"/comparisons/{made.pk}/"
    assert made.items.count() == 2
    assert Job.objects.get(preset="fast", status="queued").retry_of == two
    assert LogEntry.objects.get().get_edited_object() == made
    assert "1 of 2 recordings are ready." in text(root, response["Location"])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({**KEYS, "second": BEST.key}, "Choose two different variants."),
        ({**KEYS, "second": "other/"}, "Select a valid choice."),
        ({**KEYS, "title": ""}, "This field is required."),
        ({**KEYS, "title": "x" * 201}, "at most 200 characters"),
    ],
)
def test_a_wrong_form_says_so(root: Client, fields: dict[str, str], words: str) -> None:
    path = select(root, done(BEST))

    assert words in root.post(path, fields).content.decode()
    assert not Comparison.objects.exists()


def test_nothing_to_compare_is_said(root: Client) -> None:
    for path in (
        select(root, stored_job()),
        f"{COMPARISONS}make/?job=1&job=",
        f"{COMPARISONS}make/",
    ):
        assert "Nothing to compare" in text(root, path)


def test_too_large_a_selection_is_refused(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "RECORDING_LIMIT", 1)
    data = {"action": "compare_selected", "_selected_action": [done().pk, done().pk]}

    html = root.post(LIST, data, follow=True).content.decode()

    assert "Select at most 1 job." in html


def test_list_leads_to_the_page(root: Client) -> None:
    made = comparison_of(2)

    html = text(root, COMPARISONS)

    assert f'href="/comparisons/{made.pk}/"' in html
    assert "local, best / local, fast" in html
    assert f"{COMPARISONS}add/" not in html
    assert root.get(f"{COMPARISONS}add/").status_code == 403
    assert text(root, f"{COMPARISONS}{made.pk}/change/")
    root.post(f"{COMPARISONS}{made.pk}/delete/", {"post": "yes"})
    assert not Comparison.objects.exists()


def test_a_site_without_our_pages_offers_no_comparison(root: Client, settings: Settings) -> None:
    done()
    assert "compare_selected" in text(root, LIST)
    settings.ROOT_URLCONF = "tests.db.admin.only_admin_urls"

    assert "compare_selected" not in text(root, LIST)


@pytest.mark.django_db
def test_making_needs_the_permission() -> None:
    job = done(BEST)
    client = staff("view_job", "change_job", "view_comparison")

    assert "compare_selected" not in text(client, LIST)
    assert client.get(f"{COMPARISONS}make/?job={job.pk}").status_code == 403
    assert client.post(f"{COMPARISONS}make/?job={job.pk}", KEYS).status_code == 403
    assert client.get(COMPARISONS).status_code == 200


@pytest.mark.django_db
def test_making_without_the_permission_of_jobs_queues_nothing() -> None:
    job = done(BEST)
    client = staff("view_job", "add_comparison")

    html = client.post(f"{COMPARISONS}make/?job={job.pk}", KEYS).content.decode()

    assert "No recording has both variants, and none can be made." in html
    assert Job.objects.count() == 1
