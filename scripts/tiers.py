#!/usr/bin/env python3
"""Run the tiers of tests one after another, and say how long each took.

    python scripts/tiers.py               all of them
    python scripts/tiers.py unit live     some

A tier that fails does not keep the next ones from running; the exit code is 1 if any did.

Not side by side: on two cores the quick ones keep both busy, and `live`, `browser` and `browsers`
measure time and play sound. `django6` and `lowest` leave out what cannot differ (noxfile.py).
"""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTEST = [sys.executable, "-m", "pytest", "-q"]
#: Workers: tests are written for two cores; more would crowd the servers they start.
PARALLEL = ["-n", "2"]

Command = list[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tier:
    """One group of tests that need the same things."""

    name: str
    what: str
    #: Makes the command when the tier's turn has come: it may install something first.
    command: Callable[[], Command]
    #: Seconds after which the tier is ended, as failed.
    limit: float = 900


def pytest_of(folder: str, *options: str) -> Callable[[], Command]:
    return lambda: [*PYTEST, *options, f"tests/{folder}"]


def on_postgres() -> Command:
    return [sys.executable, "scripts/with-postgres", *PYTEST, *PARALLEL, "tests/db"]


def with_processes() -> Command:
    installed("nginx")
    # Most of what these tests do is wait for leases and time-outs.
    return [*PYTEST, *PARALLEL, "tests/live"]


def in_browser() -> Command:
    installed("chromium")
    # One test reads a page aloud, by a virtual screen reader from npm.
    subprocess.run(["scripts/npm-packages"], cwd=ROOT, check=True, timeout=1300)
    return [*PYTEST, "tests/browser"]


def in_other_browsers() -> Command:
    # Without a screen WebKit does not start, and without a sound card no AudioContext does.
    installed("firefox", "webkit", "xvfb", "pulseaudio")
    return [*PYTEST, "tests/browsers"]


def javascript() -> Command:
    installed("node")
    # Named one by one: versions of node disagree about what a folder means.
    files = sorted((ROOT / "tests/js").rglob("*.test.*js"))
    return ["node", "--test", *(str(path.relative_to(ROOT)) for path in files)]


def nox(session: str) -> Callable[[], Command]:
    return lambda: [sys.executable, "-m", "nox", "--session", session]


def installed(*tools: str) -> None:
    """Have programs that pip cannot install; raise `CalledProcessError` where one cannot be had."""
    subprocess.run(["scripts/install-system", *tools], cwd=ROOT, check=True, timeout=1300)


TIERS = [
    Tier(name="unit", what="pure code", command=pytest_of("unit", *PARALLEL)),
    Tier(name="contract", what="backends", command=pytest_of("contract", *PARALLEL)),
    Tier(name="db", what="SQLite", command=pytest_of("db", *PARALLEL)),
    Tier(name="db-postgres", what="PostgreSQL", command=on_postgres),
    Tier(name="live", what="real processes", command=with_processes, limit=1800),
    Tier(name="browser", what="Chromium", command=in_browser),
    Tier(name="browsers", what="Firefox and WebKit", command=in_other_browsers),
    Tier(name="js", what="node --test", command=javascript, limit=120),
    Tier(name="django6", what="Django 6 on a newer Python", command=nox("django6")),
    Tier(name="lowest", what="the oldest versions allowed", command=nox("lowest")),
]


def run(tier: Tier) -> str:
    """Run one tier; return `ok` or what went wrong in a few words."""
    try:
        command = tier.command()
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        return f"FAILED: could not install ({error})"
    # Its own group, so that a tier that hangs is ended with everything it started.
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    try:
        code = process.wait(timeout=tier.limit)
    except subprocess.TimeoutExpired:
        end(process)
        return f"FAILED: not done after {tier.limit:.0f} s"
    except KeyboardInterrupt:
        end(process)
        raise
    return "ok" if code == 0 else f"FAILED: exit code {code}"


def end(process: subprocess.Popen[bytes]) -> None:
    """End a tier and all its children: politely, then not."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=20)


def chosen(names: list[str]) -> list[Tier]:
    """The tiers of these names, or all."""
    known = {tier.name for tier in TIERS}
    if unknown := set(names) - known:
        raise SystemExit(f"no such tier: {', '.join(unknown)}; there are {', '.join(known)}")
    return [tier for tier in TIERS if not names or tier.name in names]


def main(names: list[str]) -> int:
    """Run the tiers and print the table."""
    table = []
    for tier in chosen(names):
        print(f"\n=== {tier.name}: {tier.what}", flush=True)
        begun = time.monotonic()
        outcome = run(tier)
        table.append((tier.name, time.monotonic() - begun, outcome))
    failed = sum(outcome != "ok" for _, _, outcome in table)
    print()
    for name, seconds, outcome in table:
        print(f"{name:12} {seconds:6.1f} s  {outcome}")
    print(f"tiers: {len(table) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    # Whoever ends us, as CI does at its limit, ends the tier and its servers too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A shell script starts a background job with SIGINT ignored; a tier would inherit that, and
    # `end` sends SIGINT. With a handler here, it starts with the default.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
