"""A session store whose database is away, as `SESSION_ENGINE`."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends import db
from django.db import OperationalError


class SessionStore(db.SessionStore):
    def load(self) -> dict[str, Any]:
        raise OperationalError("away")
