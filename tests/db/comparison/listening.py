"""Comparisons to listen to, and the people who do."""

from __future__ import annotations

import re
from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import AsyncClient, Client
from django.urls import reverse

from denoise_relay.comparison.variants import Variant
from denoise_relay.models import Comparison, ComparisonItem, Job
from tests.db.factories import finish, stored_job

BEST = Variant("local", "best")
FAST = Variant("local", "fast")
LISTENER = ("view_comparison", "view_job")


def done(variant: Variant = BEST, content: bytes = b"clean", **columns: Any) -> Job:
    """A job that this variant has done."""
    job = stored_job(backend=variant.backend, preset=variant.preset, **columns)
    return finish(job, content)


def again(job: Job, variant: Variant, content: bytes = b"clean") -> Job:
    """The same recording, done by this variant."""
    anew = stored_job(file_name=job.file_name, backend=variant.backend, preset=variant.preset)
    Job.objects.filter(pk=anew.pk).update(original=job.original.name)
    anew.refresh_from_db()
    return finish(anew, content)


def comparison_of(n: int = 3) -> Comparison:
    """A comparison of recordings that are ready; each result is its own bytes."""
    made = Comparison.objects.create(
        title="Which?",
        first_backend=BEST.backend,
        first_preset=BEST.preset,
        second_backend=FAST.backend,
        second_preset=FAST.preset,
    )
    for k in range(n):
        first = done(BEST, b"best %d" % k, file_name=f"talk {k}.wav")
        second = again(first, FAST, b"fast %d" % k)
        made.items.create(file_name=first.file_name, first=first, second=second)
    return made


def person(*codenames: str, name: str = "ann", is_staff: bool = True) -> User:
    user = User.objects.create_user(name, is_staff=is_staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def async_client_of(user: User) -> AsyncClient:
    client = AsyncClient()
    client.force_login(user)
    return client


def url(comparison: Comparison, name: str = "comparison", *args: object) -> str:
    return reverse(f"denoise_relay:{name}", args=[comparison.pk, *args])


def listen_url(comparison: Comparison, method: str = "preference") -> str:
    return url(comparison, "comparison_listen", method)


def shown(client: Client, comparison: Comparison, method: str = "preference") -> dict[str, str]:
    """The hidden fields of the trial that the page shows."""
    html = client.get(listen_url(comparison, method)).content.decode()
    return dict(re.findall(r'name="(item|round)" value="(\d+)"', html))


def answer(
    client: Client, comparison: Comparison, given: str, method: str = "preference", **more: Any
) -> ComparisonItem:
    """Answer the trial that the page shows; return its recording."""
    fields = shown(client, comparison, method) | {"answer": given} | more
    response = client.post(listen_url(comparison, method), fields)
    assert response.status_code == 302, response.status_code
    return ComparisonItem.objects.get(pk=fields["item"])
