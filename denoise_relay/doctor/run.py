"""Runs probes one after another, each within its time; one that fails does not stop others."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from django.conf import settings
from django.db import connections

from denoise_relay.conf import relay_settings
from denoise_relay.doctor.findings import Finding, Probe, fail

T = TypeVar("T")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")


async def examine(probes: Sequence[Probe]) -> AsyncIterator[tuple[str, Finding]]:
    """Yield `(subject, finding)` as they come. Never raises for what a probe meets."""
    for probe in probes:
        for finding in await _look(probe):
            yield (
                probe.subject,
                replace(finding, text=_discreet(finding.text), remedy=_discreet(finding.remedy)),
            )


async def _look(probe: Probe) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(probe.seconds):
            return await probe.look()
    except TimeoutError:
        return [fail(f"No answer within {probe.seconds:g} s.", probe.remedy)]
    except Exception as error:  # noqa: BLE001 - whatever breaks is a finding
        return [_broken(error, probe.remedy)]


def _broken(error: Exception, remedy: str) -> Finding:
    return fail(f"{type(error).__name__}: {error}".rstrip(": "), remedy)


def collected(findings: Iterable[Finding], remedy: str) -> list[Finding]:
    """All findings of a generator; when it breaks, those so far and what broke it."""
    found: list[Finding] = []
    try:
        found.extend(findings)
    except Exception as error:  # noqa: BLE001 - whatever breaks is a finding
        found.append(_broken(error, remedy))
    return found


async def in_thread(function: Callable[[], T]) -> T:
    """Run blocking code in a thread that nobody has to wait for.

    The usual executors are joined when Python ends, and a database that hangs would keep
    the doctor from going home.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: BaseException | None) -> None:
        if not outcome.done():
            outcome.set_exception(error) if error else outcome.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        try:
            told: tuple[Any, BaseException | None] = (function(), None)
        except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
            told = (None, error)
        finally:
            connections.close_all()
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, *told)

    threading.Thread(target=run, name="denoise-doctor", daemon=True).start()
    return await outcome


def _discreet(text: str) -> str:
    """The text on one line, without any secret: reports are mailed and pasted into issues."""
    for secret in _secrets():
        text = text.replace(secret, "***")
    return " ".join(_CREDENTIALS.sub("***@", text).split())


def _secrets() -> list[str]:
    relay = relay_settings()
    passwords = [str(database.get("PASSWORD") or "") for database in settings.DATABASES.values()]
    found = {relay.API_KEY, relay.METRICS_TOKEN, settings.SECRET_KEY, *passwords}
    # What is shorter is no secret, and its letters are in many words.
    return sorted((secret for secret in found if len(secret) >= 6), key=len, reverse=True)
