"""API keys in the admin."""

from __future__ import annotations

import re
from datetime import timedelta

from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from denoise_relay import access
from denoise_relay.models import ApiKey
from tests.db.admin.staff import text

KEYS = "/admin/denoise_relay/apikey/"


# API keys
def test_new_key_is_shown_once_and_works(root: Client) -> None:
    user = User.objects.create_user("ann")

    html = root.post(f"{KEYS}add/", {"name": "site", "user": user.pk}, follow=True).content.decode()

    (secret,) = re.findall(r"dr_[\w-]{43}", html)
    key = ApiKey.objects.get(digest=access.digest(secret))
    assert (key.name, key.user) == ("site", user)
    for path in (KEYS, f"{KEYS}{key.pk}/change/"):
        html = text(root, path)
        assert secret not in html
        assert key.digest not in html


def test_key_may_be_renamed_but_not_given_to_another(root: Client) -> None:
    user = User.objects.create_user("ann")
    access.create_api_key("site")
    key = ApiKey.objects.get()

    root.post(f"{KEYS}{key.pk}/change/", {"name": "renamed", "user": user.pk})

    key.refresh_from_db()
    assert (key.name, key.user) == ("renamed", None)


def test_revoked_keys_keep_the_moment_they_were_revoked(root: Client) -> None:
    access.create_api_key("old")
    long_ago = timezone.now() - timedelta(days=9)
    ApiKey.objects.update(revoked_at=long_ago)
    access.create_api_key("new")
    data = {"action": "revoke_selected", "_selected_action": [k.pk for k in ApiKey.objects.all()]}

    html = root.post(KEYS, data, follow=True).content.decode()

    assert "1 API key was revoked." in html
    assert ApiKey.objects.get(name="old").revoked_at == long_ago
    assert ApiKey.objects.get(name="new").revoked_at is not None
