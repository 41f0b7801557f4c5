"""The trusted parent: starts a child process, reads its messages, and always ends it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from denoise_relay.engine import protocol
from denoise_relay.engine.cores import CoreShare
from denoise_relay.engine.errors import EngineCrashed, EngineUnavailable
from denoise_relay.engine.presets import Preset, missing_package
from denoise_relay.engine.segments import Segments

_Record = TypeVar("_Record")
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
}
#: Each arena of the allocator reserves address space, of which the child has little. With one, the
#: threads of a child wait for each other some hundred times a second.
_MOST_ARENAS: Final = 4
_REAP_SECONDS: Final = 5.0
_STDERR_TAIL_BYTES: Final = 4096
#: Keeps clean-up alive when its owner was cancelled a second time.
_background: set[asyncio.Task[Any]] = set()


class TimedOut(Exception):
    """The child was killed because its time was up."""


async def run(
    command: list[str],
    *,
    returns: type[_Record],
    reads: Iterable[Path],
    on_progress: Callable[[float, str], None],
    timeout_seconds: float,
    preset: Preset = "best",
    segments: Segments | None = None,
    share: CoreShare | None = None,
) -> _Record:
    """Run one command of the child and return its record (`protocol`).

    `reads` are files that must exist, `preset` is the model whose packages must be installed,
    `segments` takes what the child says in segments, `share` is how many cores the child may use,
    of which it is told; one without it. May be cancelled: the child is killed. Raises
    `TimedOut`, `MediaRejected`, `EngineUnavailable`, `EngineCrashed`, or `OSError` if a file is not
    there.
    """
    missing = missing_package(preset)
    if missing is not None:
        raise EngineUnavailable(missing, preset)
    for path in reads:
        os.stat(path)  # a file that is gone is the caller's mistake, and not a crash
    try:
        async with asyncio.timeout(timeout_seconds) as clock:
            async with _child(command, timeout_seconds, share) as (process, stderr):
                outcome = await _listen(process, returns, on_progress, segments)
                if outcome is None:
                    await process.wait()
                    raise EngineCrashed(_exit_report(process.returncode, await stderr))
                return outcome
    except TimeoutError as exc:
        if clock.expired():
            raise TimedOut from exc
        raise  # from on_progress


async def _listen(
    process: asyncio.subprocess.Process,
    returns: type[_Record],
    on_progress: Callable[[float, str], None],
    segments: Segments | None,
) -> _Record | None:
    """Read lines until one is the outcome; None if the child ended without one."""
    stdout = cast(asyncio.StreamReader, process.stdout)
    highest = 0.0
    for _ in range(protocol.MAX_LINES + (protocol.MAX_SEGMENTS if segments else 0)):
        segment = None
        try:
            line = protocol.read_line(await stdout.readuntil(b"\n"))
            if "result" in line:
                return protocol.read_record(returns, line["result"])
            if "rejected" in line:
                raise protocol.read_rejection(line["rejected"])
            if "unavailable" in line:
                raise EngineUnavailable(str(line["unavailable"])[:100])
            if segments is not None and "segment" in line:
                segment = await segments.take(line["segment"])
            else:
                pct, message = protocol.read_progress(line)
        except asyncio.IncompleteReadError:
            return None
        except (asyncio.LimitOverrunError, ValueError, OSError) as exc:
            raise EngineCrashed(f"not a message of the protocol: {exc!r:.500}") from exc
        if segments is not None and segment is not None:
            segments.on_segment(segment)
            continue
        highest = max(highest, pct)
        on_progress(highest, message)
    raise EngineCrashed(f"the child sent more than {protocol.MAX_LINES} lines")


@contextlib.asynccontextmanager
async def _child(
    command: list[str], timeout_seconds: float, share: CoreShare | None
) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.Task[bytes]]]:
    """A running child and its error output; dead and reaped when the block is left."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *_PROGRAM,
        "--parent",
        str(os.getpid()),
        "--cpu-seconds",
        str(math.ceil(timeout_seconds * (share.cores if share else 1)) + 1),
        *command,
        stdin=asyncio.subprocess.PIPE if share else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=protocol.MAX_LINE_BYTES,
        env=_environment(share.cores if share else 1),
        start_new_session=True,
    )
    stderr_stream = cast(asyncio.StreamReader, process.stderr)
    stderr = asyncio.create_task(_tail(stderr_stream), name="engine-stderr")
    try:
        with _told(process, share):
            yield process, stderr
    finally:
        _kill(process)
        await _reap(process, stderr)


@contextlib.contextmanager
def _told(process: asyncio.subprocess.Process, share: CoreShare | None) -> Iterator[None]:
    """While the block runs, the child is told of each change of its share, a number a line."""
    stdin = process.stdin
    if share is None or stdin is None:
        yield
        return

    def tell(cores: int) -> None:
        # A child that does not read is told no more, so that nothing piles up here.
        transport = stdin.transport
        if not transport.is_closing() and not transport.get_write_buffer_size():
            stdin.write(b"%d\n" % cores)

    try:
        with share.follow(tell):
            yield
    finally:
        stdin.close()


def _environment(cores: int) -> dict[str, str]:
    """What the child needs to find its packages, and nothing of ours."""
    search_path = [os.path.abspath(entry) for entry in sys.path]
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    arenas = 1 if cores == 1 else min(cores + 1, _MOST_ARENAS)
    return {
        **kept,
        **_ENVIRONMENT,
        "MALLOC_ARENA_MAX": str(arenas),
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(search_path)),
    }


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
