"""What the doctor says of the channel layer."""

from __future__ import annotations

from pytest_django import Settings

from denoise_relay.doctor.channel_layer import layer
from denoise_relay.doctor.run import Level
from tests.db.doctor.examining import found, worst


def test_layer_in_memory(settings: Settings) -> None:
    settings.DENOISE_RELAY = {"WORKER": "embedded"}
    assert [level for level, _text in found(layer)] == [Level.OK]
    settings.DENOISE_RELAY = {"WORKER": "external"}
    assert worst(layer).level is Level.FAIL


def test_layer_whose_server_is_away(settings: Settings, unused_tcp_port: int) -> None:
    from project import layers

    url = f"redis://user:hunter2@127.0.0.1:{unused_tcp_port}/0"
    settings.CHANNEL_LAYERS = {"default": layers.from_url(url)}
    bad = worst(layer)
    assert bad.level is Level.FAIL
    assert f"at 127.0.0.1:{unused_tcp_port}/0?" in bad.remedy
    assert "hunter2" not in bad.text + bad.remedy
