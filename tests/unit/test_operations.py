"""docs/operations.md and docs/deploy/ name what exists, and all of it."""

from __future__ import annotations

import re
from pathlib import Path

from django.core.management import get_commands

from denoise_relay.runtime import metrics

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
TEXT = (DOCS / "operations.md").read_text()
DEPLOY = {path.name: path.read_text() for path in (DOCS / "deploy").iterdir()}


def exposed() -> set[str]:
    """Names as Prometheus shows them, without the parts of histograms."""
    return {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in metrics.REGISTRY.collect()
        if family.name.startswith("denoise_relay_")
    }


def test_every_metric_is_in_the_table() -> None:
    table = set(re.findall(r"^\| `(denoise_relay_\w+)", TEXT, re.MULTILINE))
    assert table == exposed()


def test_alerts_ask_for_metrics_that_exist() -> None:
    asked = set(re.findall(r"denoise_relay_\w+", DEPLOY["alerts.yml"]))
    assert len(asked) > 5
    assert {name.removesuffix("_bucket") for name in asked} <= exposed()


def test_every_file_to_deploy_is_explained() -> None:
    linked = set(re.findall(r"\]\(deploy/([^)]+)\)", TEXT))
    assert linked == DEPLOY.keys()


def test_commands_of_the_units_exist() -> None:
    started = {name for text in DEPLOY.values() for name in re.findall(r"manage\.py (\w+)", text)}
    assert started == {"denoise_worker", "denoise_prune"}
    assert started <= get_commands().keys()


def test_ports_of_units_proxies_and_prometheus_agree() -> None:
    ports = {
        name: set(re.findall(r"127\.0\.0\.1:(80\d\d)", DEPLOY[name]))
        for name in ("nginx.conf", "Caddyfile", "prometheus.yml")
    }
    assert ports == {name: {"8001", "8002"} for name in ports}
    assert "denoise-web@8001 denoise-web@8002" in TEXT


def test_proxies_agree_about_sizes_and_patience() -> None:
    assert "client_max_body_size 205m;" in DEPLOY["nginx.conf"]
    assert "max_size 205MB" in DEPLOY["Caddyfile"]
    assert "proxy_read_timeout 90s;" in DEPLOY["nginx.conf"]
    assert "read_timeout 90s" in DEPLOY["Caddyfile"]


def test_nothing_here_knows_a_secret() -> None:
    for name, text in DEPLOY.items():
        assert not re.search(r"[A-Za-z0-9+/]{40,}", text), name
