"""The parts of a job, on its page in the admin."""

from __future__ import annotations

from django.test import Client

from denoise_relay.models import Part
from tests.db.admin.staff import page, staff, text
from tests.db.factories import stored_job


def test_parts_are_shown_read_only_where_there_are_some(root: Client) -> None:
    whole, parted = stored_job(), stored_job()
    part = Part.objects.create(job=parted, index=0, start=0, end=8000, upstream_id="theirs-1")

    html = text(root, page(parted))
    assert str(part.submission) in html
    assert "theirs-1" in html
    assert 'name="parts-0-index"' not in html
    assert "parts-group" not in text(root, page(whole))
    assert "theirs-1" in text(staff("view_job"), page(parted))
