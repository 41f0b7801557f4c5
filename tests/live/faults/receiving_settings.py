"""`project.settings` with an app that receives signals."""

from __future__ import annotations

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.live.faults.receiving.apps.ReceivingConfig"]
