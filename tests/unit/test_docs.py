"""Documents say what the code does: settings, checks, versions, links, the six lines."""

from __future__ import annotations

import ast
import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

import denoise_relay
from denoise_relay.conf import RelaySettings

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
SETTINGS = (ROOT / "docs/settings.md").read_text()


def rows(text: str) -> list[list[str]]:
    """Cells of all rows of all tables."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| `")
    ]


def test_every_setting_is_documented_with_its_default() -> None:
    documented = {row[0].strip("`"): row[1].strip("`") for row in rows(SETTINGS)}
    fields = dataclasses.fields(RelaySettings)
    assert {field.name for field in fields} <= set(documented)
    for field in fields:
        default = field.default
        expected = list(default) if isinstance(default, tuple) else default
        assert ast.literal_eval(documented[field.name]) == expected, field.name


def test_no_setting_is_documented_that_does_not_exist() -> None:
    table = SETTINGS.partition("## The dict")[2].partition("\n## ")[0]
    assert {row[0].strip("`") for row in rows(table)} == {
        field.name for field in dataclasses.fields(RelaySettings)
    }


def test_every_variable_of_the_demo_site_is_documented() -> None:
    table = SETTINGS.partition("## Environment")[2].partition("\n## ")[0]
    documented = {row[0].strip("`") for row in rows(table)}
    source = (ROOT / "project/settings.py").read_text()
    read = set(re.findall(r"""(?:environ\.get|flag|names)\("([A-Z_]+)\"""", source))
    assert "DATABASE_URL" in read
    assert documented == read | {"DENOISE_RELAY_<KEY>"}


def test_every_system_check_is_documented_once() -> None:
    source = "".join(path.read_text() for path in (ROOT / "denoise_relay").rglob("*.py"))
    ids = set(re.findall(r'id="(denoise_relay\.[EW]\d+)"', source))
    documented = [row[0].strip("`") for row in rows(SETTINGS) if "denoise_relay." in row[0]]
    assert sorted(documented) == sorted(ids)


def test_numbers_of_system_checks_are_used_once() -> None:
    numbers = re.findall(r"^\| `denoise_relay\.[EW](\d+)`", SETTINGS, re.MULTILINE)
    assert len(numbers) == len(set(numbers))


def test_version_is_the_newest_in_the_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    released = re.findall(r"^## \[(\d[^\]]*)\] - \d{4}-\d{2}-\d{2}$", text, re.MULTILINE)
    assert released[0] == denoise_relay.__version__
    assert "## [Unreleased]" in text.partition(f"[{released[0]}]")[0]


def test_six_lines_are_six_and_python() -> None:
    blocks = re.findall(
        r"<!-- six-lines: (\S+) -->\n```python\n(.*?)```",
        (ROOT / "README.md").read_text(),
        re.DOTALL,
    )
    assert [name for name, _ in blocks] == ["settings.py", "urls.py", "asgi.py"]
    statements = [node for _, code in blocks for node in ast.parse(code).body]
    assert sum(not isinstance(node, ast.ImportFrom) for node in statements) == 6


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    missing = [link for link in links if not (document.parent / link).exists()]
    assert not missing


def test_modules_named_in_the_architecture_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    named = set(re.findall(r"\*\*`([a-z_/]+\.py)`", text))
    assert len(named) > 10
    package = ROOT / "denoise_relay"
    assert not [name for name in sorted(named) if not (package / name).is_file()]


def test_dependencies_are_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    required = [
        *project["dependencies"],
        *(line for extra in ("local", "postgres", "redis", "site") for line in extras[extra]),
    ]
    text = (ROOT / "docs/architecture.md").read_text()
    table = text.partition("## Dependencies")[2].partition("\n## ")[0]
    names = {re.match(r"[\w-]+", line).group() for line in required}  # type: ignore[union-attr]
    assert not {name for name in names if name not in table}
