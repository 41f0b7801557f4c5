"""Pages with 100,000 jobs and 2,000,000 events, over HTTP, beside Django's own list classes.

Milliseconds and queries of one answer, on SQLite and PostgreSQL; the time includes Daphne, the
session, the connection to the database and the template.
"""

from __future__ import annotations

import http.client
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench import large_database as large
from bench.pages.queries import HEADER
from bench.process import daphne, manage
from bench.report import Figure, Goal

TITLE = "Pages with 100,000 jobs and 2,000,000 events"
#: Answers of each page in one round.
ANSWERS = 7
LIMIT_MS = 60.0
#: A page that takes longer is a failure, which is shown as this.
ANSWER_SECONDS = 20.0
OURS, PLAIN = "denoise_relay", "Django's own classes"


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page, and the path of the same made by Django's own classes, if there is one."""

    name: str
    path: str
    plain: str = ""


def _pages(job: str) -> list[Page]:
    admin, plain_admin = "/admin/denoise_relay/job/", "/plain/admin/denoise_relay/job/"
    api, plain_api = "/api/v1/denoise", "/plain/history/"
    return [
        Page(name="own list", path="/", plain="/plain/list/"),
        Page(name="own list, page 2,500", path="/?page=2500", plain="/plain/list/?page=2500"),
        Page(name="job", path=f"/jobs/{job}/"),
        Page(name="status", path=f"/jobs/{job}/status/"),
        Page(name="admin list", path=admin, plain=plain_admin),
        Page(name="admin search", path=f"{admin}?q=99990", plain=f"{plain_admin}?q=99990"),
        Page(name="admin search, no match", path=f"{admin}?q=qqq", plain=f"{plain_admin}?q=qqq"),
        Page(name="admin job", path=f"{admin}{job}/change/"),
        Page(name="API list", path=f"{api}?limit=20", plain=f"{plain_api}?offset=0&limit=20"),
        Page(
            name="API list, offset 50,000",
            path=f"{api}?offset=50000&limit=20",
            plain=f"{plain_api}?offset=50000&limit=20",
        ),
    ]


DATABASES = ("SQLite", "PostgreSQL")
GOALS: tuple[Goal, ...] = tuple(
    Goal(case=f"{database}, {page.name}", metric="ms", way=OURS, beside="", limit=LIMIT_MS)
    for database in DATABASES
    for page in _pages("")
)


def run(rounds: int) -> list[Figure]:
    """Measure all pages on each database there is."""
    figures: list[Figure] = []
    for database, url in large.databases().items():
        environment = large.ENVIRONMENT | {
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "bench.pages.settings",
            "DENOISE_RELAY_WORKER": "external",
        }
        job, cookie = manage(environment, "shell", "--verbosity", "0", "-c", _PREPARE).split()
        with daphne("project.asgi:application", environment) as server:
            for page in _pages(job):
                key = page.path.startswith("/api/")
                for way, path in ((OURS, page.path), (PLAIN, page.plain)):
                    headers = {"Cookie": f"sessionid={cookie}"}
                    if key and way is OURS:
                        headers = {"x-api-key": large.SECRET}
                    if path:
                        case = f"{database}, {page.name}"
                        figures += _measured(server.port, case, way, path, headers, rounds)
    return figures


_PREPARE = f"""
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from denoise_relay.models import Job
owner = User.objects.get(username="{large.OWNER}")
session = SessionStore()
session[SESSION_KEY] = str(owner.pk)
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = owner.get_session_auth_hash()
session.create()
print(Job.objects.filter(owner=owner, status="done").first().pk, session.session_key)
"""


def _measured(
    port: int, case: str, way: str, path: str, headers: Mapping[str, str], rounds: int
) -> Iterator[Figure]:
    times: list[float] = []
    queries = 0
    _answer(port, path, headers)  # the first one compiles templates
    for _ in range(rounds):
        answers = [_answer(port, path, headers) for _ in range(ANSWERS)]
        times.append(statistics.median(milliseconds for milliseconds, _ in answers))
        queries = answers[-1][1]
    print(f"{case:42}{way:24}{statistics.median(times):9.1f} ms {queries:4} queries")
    yield Figure(case=case, way=way, metric="ms", values=tuple(times))
    yield Figure(case=case, way=way, metric="queries", values=(float(queries),) * rounds)


def _answer(port: int, path: str, headers: Mapping[str, str]) -> tuple[float, int]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        begun = time.perf_counter()
        connection.request("GET", path, headers=dict(headers))
        response = connection.getresponse()
        response.read()
        took = time.perf_counter() - begun
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise RuntimeError(f"{path}: {response.status} {response.reason}")
    return took * 1e3, int(response.headers[HEADER])
