"""How many jobs may wait: of one user or API key, of one visitor, from one address.

A limit counts jobs that are queued and that no runner has begun. It applies to requests from
outside, which say where they come from (`Origin`); the site's own code, the admin and the shell
have none. A form or an upload that is sent again finds its job before it is counted.
"""

from __future__ import annotations

from dataclasses import dataclass

from asgiref.sync import sync_to_async
from django.db import router
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from denoise_relay.conf import relay_settings
from denoise_relay.exceptions import UploadDeferred
from denoise_relay.jobs import addresses, turns
from denoise_relay.lifecycle import Status
from denoise_relay.models import Job

#: The code of what is refused here.
TOO_MANY = "too_many_waiting"
#: After which another try may do.
RETRY_SECONDS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where a request came from."""

    #: The pseudonym of its address (`addresses.pseudonym`); "" if that is not known.
    address: str = ""


def origin_of(request: HttpRequest) -> Origin:
    """Where this request came from."""
    return Origin(address=addresses.pseudonym(addresses.client_address(request)))


def admit(alias: str, job: Job, origin: Origin) -> None:
    """Note where a job comes from that is about to be inserted, in its transaction.

    Raises `UploadDeferred` if a limit is reached. Of many requests at a time no more get in than
    the limit allows: they wait for each other here.
    """
    job.address = origin.address
    turns.serialize(alias, [turns.submitter_of(job), origin.address])
    _check(alias, job, origin)


async def acheck(job: Job, origin: Origin) -> None:
    """Raise `UploadDeferred` if a job like this one would not be admitted now: before its file is
    sent, or looked into."""
    await sync_to_async(_check)(router.db_for_write(Job), job, origin)


def _check(alias: str, job: Job, origin: Origin) -> None:
    settings, submitter = relay_settings(), turns.submitter_of(job)
    anonymous = job.owner_id is None and job.api_key_id is None
    own = settings.MAX_WAITING_PER_VISITOR if anonymous else settings.MAX_WAITING_PER_OWNER
    if submitter and _is_reached(alias, own, submitter=submitter):
        text = ngettext(
            "You have %(n)d recording waiting. Send more when it is done.",
            "You have %(n)d recordings waiting. Send more when some of them are done.",
            own,
        )
        raise _too_many(text % {"n": own})
    shared = settings.MAX_WAITING_PER_ADDRESS
    if origin.address and _is_reached(alias, shared, address=origin.address):
        text = _("Many recordings from your network are waiting. Try again in a few minutes.")
        raise _too_many(text)


def _too_many(text: str) -> UploadDeferred:
    return UploadDeferred(text, code=TOO_MANY, status=429, retry_seconds=RETRY_SECONDS)


def _is_reached(alias: str, limit: int, **which: str) -> bool:
    # By the index of active jobs; counted no further than the limit.
    waiting = Job.objects.using(alias).filter(finished_at=None, status=Status.QUEUED, **which)
    return limit > 0 and waiting[:limit].count() >= limit
