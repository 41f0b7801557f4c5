"""Staff, and what they see."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client

from denoise_relay.models import Job

LIST = "/admin/denoise_relay/job/"


def staff(*codenames: str) -> Client:
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def page(job: Job) -> str:
    return f"{LIST}{job.pk}/change/"


def text(client: Client, path: str, **kwargs: Any) -> str:
    response = client.get(path, **kwargs)
    assert response.status_code == 200
    return response.content.decode()
