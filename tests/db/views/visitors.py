"""Visitors of the pages, and the files they bring."""

from __future__ import annotations

import uuid

from django.test import Client


def visitor_of(client: Client) -> str:
    """Have a visitor's token, as an upload makes it."""
    session = client.session
    session["denoise_relay_visitor"] = token = uuid.uuid4().hex
    session.save()
    return token
