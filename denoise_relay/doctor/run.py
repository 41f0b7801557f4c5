"""What a diagnosis and a finding are, and how diagnoses run: one after another, each within its
time; one that fails does not stop the others."""

from __future__ import annotations

import asyncio
import enum
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from django.conf import settings
from django.db import connections

from denoise_relay.conf import relay_settings


class Level(enum.StrEnum):
    """The severity of a finding."""

    #: As it should be.
    OK = "OK"
    #: It works, but not under load, or not for long.
    WARN = "WARN"
    #: It does not work.
    FAIL = "FAIL"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One fact about this installation."""

    level: Level
    text: str
    #: What to do about it; empty for OK.
    remedy: str = ""


def ok(text: str) -> Finding:
    return Finding(level=Level.OK, text=text)


def warn(text: str, remedy: str) -> Finding:
    return Finding(level=Level.WARN, text=text, remedy=remedy)


def fail(text: str, remedy: str) -> Finding:
    return Finding(level=Level.FAIL, text=text, remedy=remedy)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One subject: how to examine it, and in how many seconds at most."""

    subject: str
    run: Callable[[], Awaitable[Sequence[Finding]]]
    seconds: float
    #: What to do when it fails in an unexpected way, or takes too long.
    remedy: str


T = TypeVar("T")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")


async def examine(diagnoses: Sequence[Diagnosis]) -> AsyncIterator[tuple[str, Finding]]:
    """Yield `(subject, finding)` as they come. Failures of a diagnosis are findings, too."""
    for diagnosis in diagnoses:
        for finding in await _look(diagnosis):
            yield (
                diagnosis.subject,
                replace(
                    finding,
                    text=_without_secrets(finding.text),
                    remedy=_without_secrets(finding.remedy),
                ),
            )


async def _look(diagnosis: Diagnosis) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(diagnosis.seconds):
            return await diagnosis.run()
    except TimeoutError:
        return [fail(f"No answer within {diagnosis.seconds:g} s.", diagnosis.remedy)]
    except Exception as error:  # noqa: BLE001 - whatever breaks is a finding
        return [_broken(error, diagnosis.remedy)]


def _broken(error: Exception, remedy: str) -> Finding:
    return fail(f"{type(error).__name__}: {error}".rstrip(": "), remedy)


def _collected(findings: Iterable[Finding], remedy: str) -> list[Finding]:
    """All findings of a generator; when it raises, those so far and the exception as one more."""
    found: list[Finding] = []
    try:
        found.extend(findings)
    except Exception as error:  # noqa: BLE001 - whatever breaks is a finding
        found.append(_broken(error, remedy))
    return found


def blocking(
    findings: Callable[[], Iterable[Finding]], remedy: str
) -> Callable[[], Awaitable[Sequence[Finding]]]:
    """The `run` of a diagnosis whose findings come from blocking code, one after another."""

    async def run() -> Sequence[Finding]:
        return await in_thread(lambda: _collected(findings(), remedy))

    return run


async def in_thread(function: Callable[[], T]) -> T:
    """Run blocking code in a daemon thread.

    Python waits for the threads of executors at its end, so a database that hangs would keep the
    command from ending.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if not outcome.done():
            outcome.set_exception(error) if error else outcome.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        try:
            outcome_of: tuple[Any, BaseException | None] = (function(), None)
        except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
            outcome_of = (None, error)
        finally:
            connections.close_all()
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, *outcome_of)

    threading.Thread(target=run, name="denoise-doctor", daemon=True).start()
    return await outcome


def _without_secrets(text: str) -> str:
    """The text on one line, without any secret: reports are mailed and pasted into issues."""
    for secret in _secrets():
        text = text.replace(secret, "***")
    return " ".join(_CREDENTIALS.sub("***@", text).split())


def _secrets() -> list[str]:
    relay = relay_settings()
    passwords = [str(database.get("PASSWORD") or "") for database in settings.DATABASES.values()]
    found = {relay.API_KEY, relay.METRICS_TOKEN, settings.SECRET_KEY, *passwords}
    # A shorter text would be found in many words.
    return sorted((secret for secret in found if len(secret) >= 6), key=len, reverse=True)
