"""GET /metrics: the metrics of this process, for Prometheus.

Access: with `METRICS_TOKEN`, every client that sends it as a bearer token. Without it, only
clients on this machine that connect directly: a proxy on this machine has a loopback address,
too, so a request for another host, or with the headers of a proxy, gets the 404 of an unknown
path.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import time

from django.db import Error as DatabaseFailure
from django.db import router
from django.db.models import Count, Min
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.request import split_domain_port
from django.utils import timezone

from denoise_relay.conf import relay_settings
from denoise_relay.journal import leases
from denoise_relay.lifecycle import Status
from denoise_relay.models import Job
from denoise_relay.runtime import database, logs
from denoise_relay.runtime import metrics as instruments

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Counting reads a whole index: cheap, but not to be repeated for each of many scrapers.
CACHE_SECONDS = 5.0
DATABASE_SECONDS = 3.0
PROXY_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")

_counted_at = float("-inf")


async def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with the text format. Without a database the rest is shown all the same."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    refusal = _refusal(request)
    if refusal is not None:
        return refusal
    await _count()
    return HttpResponse(
        instruments.exposition(),
        content_type=CONTENT_TYPE,
        headers={"Cache-Control": "no-store"},
    )


def _refusal(request: HttpRequest) -> HttpResponse | None:
    """None if the client may read, else 401; raises `Http404` where no token is set."""
    token = relay_settings().METRICS_TOKEN
    if not token:
        if not _from_this_machine(request):
            raise Http404
        return None
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and secrets.compare_digest(given.encode(), token.encode()):
        return None
    return HttpResponse(
        "Send METRICS_TOKEN as a bearer token.\n",
        status=401,
        content_type="text/plain",
        headers={"WWW-Authenticate": 'Bearer realm="metrics"'},
    )


def _from_this_machine(request: HttpRequest) -> bool:
    if any(name in request.headers for name in PROXY_HEADERS):
        return False
    host, _port = split_domain_port(request.get_host())
    return _loopback(request.META.get("REMOTE_ADDR") or "") and (
        host == "localhost" or _loopback(host.strip("[]"))
    )


def _loopback(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback


async def _count() -> None:
    """Count the jobs in the database, unless that was done within `CACHE_SECONDS`."""
    global _counted_at
    if time.monotonic() - _counted_at < CACHE_SECONDS:
        return
    # Set before the query, so that scrapers that come during it do not repeat it.
    _counted_at = time.monotonic()
    try:
        async with asyncio.timeout(DATABASE_SECONDS):
            statuses, oldest = await database.read(_numbers)
    except (DatabaseFailure, TimeoutError) as error:
        # No value, because an old one would get a new timestamp.
        instruments.JOBS.clear()
        instruments.QUEUE_OLDEST.set(float("nan"))
        logs.logger.warning(
            "The metrics have no job counts: %s",
            type(error).__name__,
            extra=logs.fields("count_failed", error=repr(error)),
        )
        return
    for status in Status:
        instruments.JOBS.labels(status=status.value).set(statuses.get(status.value, 0))
    instruments.QUEUE_OLDEST.set(oldest)


def _numbers() -> tuple[dict[str, int], float]:
    """Jobs by status, and the age in seconds of the oldest that waits for a runner."""
    alias = router.db_for_read(Job)
    # `*`, because the index on the status does not hold the key (SQLite, 100,000 jobs: 21 ms,
    # not 62).
    by_status = Job.objects.using(alias).order_by().values("status").annotate(jobs=Count("*"))
    counted = by_status.values_list("status", "jobs")
    waiting = leases.free(alias).filter(status=Status.QUEUED)
    oldest = waiting.aggregate(oldest=Min("created_at"))["oldest"]
    age = (timezone.now() - oldest).total_seconds() if oldest else 0.0
    return dict(counted), max(0.0, age)
