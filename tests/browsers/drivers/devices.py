"""A screen and a sound card that are programs: browsers without them keep their clocks still."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.processes import Process

INHERITED = ("PATH", "TMPDIR")


@contextlib.contextmanager
def devices(folder: Path) -> Iterator[Mapping[str, str]]:
    """Run both; the environment for programs that are to use them, and to find nothing of ours."""
    missing = [name for name in ("Xvfb", "pulseaudio") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not on the path: {', '.join(missing)}")
    environ = {name: os.environ[name] for name in INHERITED if name in os.environ} | {
        "HOME": str(folder),
        # PulseAudio puts its socket here, and clients look for it.
        "XDG_RUNTIME_DIR": str(folder),
        "LANG": "C.UTF-8",
        "LANGUAGE": "en_GB:en",
        "NO_AT_BRIDGE": "1",  # no accessibility bus, which there is none of
    }
    with screen(folder, environ) as display, sound(folder, environ):
        yield {**environ, "DISPLAY": display}


@contextlib.contextmanager
def screen(folder: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """An X server without a monitor; its name for `DISPLAY`."""
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]
    with Process("xvfb", command, env=environ, log=folder / "xvfb.log") as server:
        # Written when it accepts clients; what else it prints are no lines of digits only.
        server.wait_until(lambda: _display(server.output))
        yield f":{_display(server.output)}"


@contextlib.contextmanager
def sound(folder: Path, environ: Mapping[str, str]) -> Iterator[None]:
    """A sound server whose one device plays into nothing, at the speed of a real one."""
    modules = ("module-null-sink", "module-native-protocol-unix")
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1"]
    command += [f"--load={module}" for module in modules]
    with Process("pulseaudio", command, env=environ, log=folder / "pulse.log") as server:
        server.wait_until((folder / "pulse" / "native").exists)
        yield


def _display(output: str) -> str:
    return next((line for line in output.splitlines() if line.isdigit()), "")
