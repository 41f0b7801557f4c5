"""The same `Idempotency-Key`, the same job: a submission whose answer was lost may be repeated.

An extension of the contract, as draft-ietf-httpapi-idempotency-key-header describes it. It holds as
long as the job is there: at least a day, the shortest `RETENTION_DAYS`, unless somebody deletes it.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.core.files import File

from denoise_relay.jobs import idempotency
from denoise_relay.models import ApiKey, Job

HEADER: Final = "Idempotency-Key"
#: Characters of a key.
KEY_LIMIT: Final = 255
_SALT = "denoise_relay.api.idempotency"


def job_id(key: ApiKey, idempotency_key: str) -> UUID | None:
    """The id of the job that this API key makes with this idempotency key; None without one."""
    if not idempotency_key:
        return None
    return idempotency.job_id(_SALT, str(key.pk), idempotency_key)


def same_file(job: Job, file: File[bytes]) -> bool:
    """Whether the job may have been made from this file: names differ from try to try."""
    return bool(job.whole) or job.size_bytes == file.size
