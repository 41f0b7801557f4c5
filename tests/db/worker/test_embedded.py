"""The embedded worker: one supervisor in the process of the server, and who is warned of more."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from denoise_relay.worker import embedded

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("processes", "warned"), [("4", 1), ("1", 0)])
async def test_several_processes_without_a_layer_are_warned_about(
    processes: str,
    warned: int,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A server runs no system checks."""
    monkeypatch.setenv("WEB_CONCURRENCY", processes)
    settings.DENOISE_RELAY = {
        "BACKEND": "tests.db.scripted_backends.Scripted",
        "WORKER": "embedded",
    }
    await embedded.start()
    await embedded.start()
    assert embedded.healthy()
    await embedded.stop()

    actions = [getattr(record, "relay_action", "") for record in caplog.records]
    assert actions.count("no_shared_layer") == warned
