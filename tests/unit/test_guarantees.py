"""docs/guarantees.md names tests: they exist, and no fault scenario is left out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENT = (ROOT / "docs/guarantees.md").read_text()
#: Folders of `tests/live` with the fault suite.
SUITE = ("faults", "load", "uploads")


def scenarios() -> set[str]:
    """`file::test` of every test in the fault suite."""
    found = set()
    files = [path for folder in SUITE for path in (ROOT / "tests/live" / folder).glob("test_*.py")]
    for path in files:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
                "test_"
            ):
                found.add(f"{path.name}::{node.name}")
    return found


def test_each_named_test_exists_and_each_scenario_is_named() -> None:
    named = set(re.findall(r"`(test_\w+\.py::test_\w+)`", DOCUMENT))
    assert named == scenarios()


def test_each_promise_names_its_test() -> None:
    tables = DOCUMENT.partition("## Workers")[2].partition("## What is not promised")[0]
    rows = [
        line
        for line in tables.splitlines()
        if line.startswith("| ") and not line.startswith(("| promise", "| killed…"))
    ]
    assert len(rows) >= 25
    assert [row for row in rows if ".py::test_" not in row] == []
