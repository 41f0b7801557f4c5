"""What new jobs of a comparison can be run with."""

from __future__ import annotations

from pytest_django import Settings

from denoise_relay.comparison.variants import Variant, offered
from tests.db.presets import TWO_PRESETS


def test_new_jobs_take_the_presets_that_the_backend_offers(settings: Settings) -> None:
    settings.DENOISE_RELAY = TWO_PRESETS
    assert offered() == [Variant("with-presets", "fine"), Variant("with-presets", "swift")]
    settings.DENOISE_RELAY = {"BACKEND": "upstream"}
    assert offered() == [Variant("upstream", "")]
