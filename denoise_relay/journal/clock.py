"""The clock of leases: the database's where several machines share one, the host's on SQLite."""

from __future__ import annotations

from datetime import timedelta

from django.db import connections
from django.db.models import DateTimeField, ExpressionWrapper, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from django.utils import timezone


def now(alias: str) -> Combinable:
    """The time of a statement."""
    if connections[alias].vendor == "sqlite":
        return Value(timezone.now(), output_field=DateTimeField())
    # STATEMENT_TIMESTAMP on PostgreSQL: it moves on within a transaction, now() does not.
    return Now()


def later(alias: str, seconds: float) -> Combinable:
    """`now`, and `seconds` more."""
    if connections[alias].vendor == "sqlite":
        return Value(timezone.now() + timedelta(seconds=seconds), output_field=DateTimeField())
    return ExpressionWrapper(Now() + timedelta(seconds=seconds), output_field=DateTimeField())
