"""The paths of a job on this site.

A page of twenty jobs has four hundred, and `reverse` takes 30 µs for one, so each is reversed once,
and the job's id put in.
"""

from __future__ import annotations

from functools import lru_cache
from uuid import UUID

from django.conf import settings
from django.urls import get_script_prefix, get_urlconf, reverse
from django.utils.translation import get_language

# Stands for a job's id in a path that is kept. No job has it: `uuid4` sets bits that it lacks.
_ANY_JOB = UUID(int=0x6A6F62)
#: Paths that are kept: twenty for each language and each path that the site is mounted at.
KEPT = 1024


def job_path(name: str, job_id: UUID, *more: str) -> str:
    """`reverse("denoise_relay:" + name)` with the job's id and `more` as arguments.

    Raises `NoReverseMatch`, as that does.
    """
    urlconf = get_urlconf() or settings.ROOT_URLCONF
    # All that the answer of `reverse` depends on.
    path = _path(urlconf, get_script_prefix(), get_language(), name, more)
    return path.replace(str(_ANY_JOB), str(job_id))


@lru_cache(KEPT)
def _path(urlconf: str, prefix: str, language: str | None, name: str, more: tuple[str, ...]) -> str:
    return reverse(f"denoise_relay:{name}", urlconf=urlconf, args=[_ANY_JOB, *more])
