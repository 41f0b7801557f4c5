"""The access policy gives the same answer on every way to a job."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.test import AsyncClient, Client
from django.utils import timezone

from denoise_relay import access
from denoise_relay.models import ApiKey, Job
from denoise_relay.routing import websocket_urlpatterns
from tests.db.factories import end, make_job

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("the_feed", "media"),
]
sockets = AuthMiddlewareStack(URLRouter(websocket_urlpatterns))


@dataclass
class Person:
    """A client with a session cookie, an API key, or neither."""

    cookies: dict[str, str] = field(default_factory=dict)
    key: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"x-api-key": self.key} if self.key else {}

    def client(self) -> AsyncClient:
        client = AsyncClient()
        client.cookies.load(self.cookies)
        return client

    async def get(self, path: str) -> int:
        response: Any = await self.client().get(path, headers=self.headers)
        if response.streaming:
            async for _ in response.streaming_content:
                pass
        return int(response.status_code)

    async def socket(self, path: str) -> bool:
        """Whether the first message is a frame and not a refusal."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = [(b"host", b"testserver"), (b"cookie", cookie.encode())]
        if self.key:
            headers.append((b"x-api-key", self.key.encode()))
        client = WebsocketCommunicator(sockets, path, headers=headers)
        await client.connect(timeout=5)
        first = await client.receive_output(timeout=5)
        await client.disconnect(timeout=5)
        return bool(first["type"] == "websocket.send")


def logged_in(user: User) -> Person:
    client = Client()
    client.force_login(user)
    return Person({"sessionid": client.cookies["sessionid"].value})


def visitor(token: str) -> Person:
    client = Client()
    session = client.session
    session[access.SESSION_KEY] = token
    session.save()
    return Person({"sessionid": client.cookies["sessionid"].value})


def staff(name: str, *permissions: str) -> User:
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


@pytest.fixture
def people() -> dict[str, Person]:
    owner = User.objects.create_user("owner")
    revoked = access.create_api_key("revoked", owner)
    ApiKey.objects.filter(name="revoked").update(revoked_at=timezone.now())
    return {
        "owner": logged_in(owner),
        "owner's key": Person(key=access.create_api_key("owner's", owner)),
        "revoked key": Person(key=revoked),
        "another": logged_in(User.objects.create_user("another")),
        "another's key": Person(key=access.create_api_key("another's")),
        "no key": Person(key="dr_nonsense"),
        "staff who may view": logged_in(staff("viewer", "view_job")),
        "staff who may change": logged_in(staff("changer", "change_job", "view_job")),
        "staff without": logged_in(staff("nobody")),
        "superuser": logged_in(User.objects.create_superuser("root")),
        "visitor": visitor("token-of-this-visitor"),
        "another visitor": visitor("token-of-another"),
        "anonymous": Person(),
        "submitting key": Person(key=access.create_api_key("submitting")),
    }


def stored(**columns: Any) -> Job:
    job = make_job(**columns)
    job.original.save("voice.wav", ContentFile(b"RIFF"))
    end(job)
    return job


SEES_ALL = {"superuser", "staff who may view", "staff who may change"}


@pytest.mark.parametrize(
    ("whose", "seen_by"),
    [
        ("owner", {"owner", "owner's key"}),
        ("visitor", {"visitor"}),
        ("key", {"submitting key"}),
        ("nobody", set()),
    ],
)
async def test_every_way_to_a_job_asks_the_same_policy(
    people: dict[str, Person], whose: str, seen_by: set[str]
) -> None:
    columns: dict[str, Any] = {
        "owner": {"owner": await User.objects.aget(username="owner")},
        "visitor": {"visitor": "token-of-this-visitor"},
        "key": {"api_key": await ApiKey.objects.aget(name="submitting")},
        "nobody": {},
    }[whose]

    job: Job = await sync_to_async(stored)(**columns)
    paths = {
        "page": f"/jobs/{job.pk}/",
        "status": f"/jobs/{job.pk}/status/",
        "events": f"/jobs/{job.pk}/events/",
        "media": f"/jobs/{job.pk}/audio/original/",
    }
    for name, person in people.items():
        expected = name in seen_by | SEES_ALL
        for way, path in paths.items():
            status = await person.get(path)
            assert (status == 200) is expected, (name, way, status)
            if not expected:
                unknown = await person.get(path.replace(str(job.pk), str(uuid4())))
                assert status == unknown == 404, (name, way)
        assert await person.socket(f"/ws/denoise/{job.pk}/") is expected, name


@pytest.mark.parametrize(
    ("who", "may"),
    [
        ("owner", True),
        ("owner's key", True),
        ("staff who may change", True),
        ("superuser", True),
        ("staff who may view", False),
        ("staff without", False),
        ("another", False),
        ("visitor", False),
        ("anonymous", False),
    ],
)
async def test_who_may_cancel(people: dict[str, Person], who: str, may: bool) -> None:

    owner = await User.objects.aget(username="owner")
    job: Job = await sync_to_async(make_job)(owner=owner)
    person = people[who]

    response = await person.client().post(f"/jobs/{job.pk}/cancel/", headers=person.headers)

    await job.arefresh_from_db()
    assert (response.status_code == 302) is may, response.status_code
    assert (job.status == "canceled") is may
