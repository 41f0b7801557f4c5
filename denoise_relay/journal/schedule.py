"""Which process does a periodic task now: one of many, whoever asks first once it is due."""

from __future__ import annotations

from denoise_relay.journal import clock
from denoise_relay.models import ScheduledTask
from denoise_relay.runtime.database import write_transaction


def take(name: str, every_seconds: float) -> bool:
    """Whether the task is due, and the caller's to do. If so it is due again after `every_seconds`.

    There is no lease: a task whose process dies is done the next time, and one that takes longer
    than the period may run twice at a time. Raises Django's database errors.
    """
    with write_transaction() as alias:
        tasks = ScheduledTask.objects.using(alias)
        later = clock.later(alias, every_seconds)
        if tasks.filter(name=name, due_at__lte=clock.now(alias)).update(due_at=later):
            return True
        # The first time. Of two processes that come here at once, one inserts.
        _row, created = tasks.get_or_create(name=name, defaults={"due_at": later})
        return created
