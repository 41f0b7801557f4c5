"""What can go wrong with the upstream, as one tree, and what follows from each.

RelayError
├── NotSent              the server could not be reached: surely nothing happened there
├── OutcomeUnknown       the connection broke: the server may have acted on the request
│   └── ReadTimeout      because nothing came from it for too long
├── Refused              it answered, but not with what was asked for
├── StreamStalled        a stream without events, whatever bytes came
├── StreamEnded          a stream that ended cleanly without a terminal event
├── UploadAbandoned      nobody waits for this upload any more
├── DownloadFailed       the result could not be fetched this time
│   └── ResultTooLarge
├── BadUrl               this URL may never be fetched
├── Unresolved           a host name has no address now
└── ProtocolError        outside the contract (`denoise_relay.exceptions`)
    └── UnknownStage
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from denoise_relay.exceptions import JobFailed, ProtocolError, RelayError


class NotSent(RelayError):
    """The server could not be reached; not one byte was sent."""


class OutcomeUnknown(RelayError):
    """The connection broke after the request began; the server may have acted on the request."""


class ReadTimeout(OutcomeUnknown):
    """Nothing came from the server for longer than is allowed."""


class Refused(RelayError):
    """The upstream answered, but not with what was asked for."""

    def __init__(self, status: int, message: str = "", *, wait: float = 0.0) -> None:
        super().__init__(f"HTTP {status} {message}".strip())
        self.status = status
        #: The upstream's own words, cleaned; may be empty.
        self.message = message
        #: Seconds that `Retry-After` asks for, or 0.
        self.wait = wait


class StreamStalled(RelayError):
    """Bytes came, maybe, but no event for so long that the stream is of no use."""


class StreamEnded(RelayError):
    """The stream ended cleanly without a terminal event, which says nothing about the job."""


class UploadAbandoned(RelayError):
    """Nobody waits for this upload any more."""


class DownloadFailed(RelayError):
    """This time the result could not be fetched; it may work again, or from a fresh URL."""

    def __init__(self, message: str, *, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class ResultTooLarge(DownloadFailed):
    """The result is larger than `MAX_RESULT_BYTES`."""


class BadUrl(RelayError):
    """This URL may not be fetched."""


class Unresolved(RelayError):
    """A host name could not be resolved, now."""


class UnknownStage(ProtocolError):
    """The upstream sent an event of a stage outside its contract."""


#: What a request can die of, short of an answer that ends the job.
CALL_FAULTS = (NotSent, OutcomeUnknown, ProtocolError, Refused)

#: Refusals that mean "later": timeout, too early, too many.
LATER = frozenset({408, 425, 429})


def seconds_to_wait(fault: Exception) -> float:
    """What the upstream asks for in `Retry-After`; raises `JobFailed` for a refused key."""
    if not isinstance(fault, Refused):
        return 0.0
    if fault.status == 401:
        raise_if_final(fault)
    return fault.wait


def raise_if_final(refused: Refused) -> None:
    """Raise `JobFailed` for an answer that will not get better."""
    if refused.status == 401:
        raise JobFailed(
            _("The audio service refused this site's access. Please tell the site's staff."),
            detail=f"{refused}; is API_KEY right for UPSTREAM_URL?",
        )
    if 300 <= refused.status < 400:
        raise JobFailed(
            _("The audio service cannot be reached. Please tell the site's staff."),
            detail=f"{refused}; is UPSTREAM_URL right?",
        )
    if is_final(refused):
        raise JobFailed(
            refused.message or _("The audio service did not accept this recording."),
            detail=str(refused),
        )


def is_final(fault: Exception) -> bool:
    """Whether the same request will be refused again: 4xx, but not the ones about time."""
    return isinstance(fault, Refused) and 400 <= fault.status < 500 and fault.status not in LATER
