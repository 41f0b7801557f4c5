"""What can go wrong, as one tree. The default message is the class docstring.

    RelayError
    ├── JobFailed            ends a job; its text is shown to the viewer
    ├── UploadRejected       (ValueError) a file refused at the door
    ├── LeaseLost            another supervisor, or a cancel, owns the job now
    ├── IllegalTransition    (ValueError) a job may not go from here to there
    └── ProtocolError        (ValueError) the upstream broke the SSE or JSON contract

Errors of configuration are Django's `ImproperlyConfigured`, outside this tree on purpose:
nobody should swallow them with `except RelayError`.
"""

from __future__ import annotations


class RelayError(Exception):
    """Something went wrong in denoise_relay."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").splitlines()[0])


class JobFailed(RelayError):
    """The recording could not be processed.

    `str(error)` is for the person who watches; `detail` is for staff only (admin, logs)
    and may name hosts, statuses and causes, never a key.
    """

    def __init__(self, message: str = "", *, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class UploadRejected(RelayError, ValueError):
    """This file cannot be processed.

    `code` is stable and machine-readable: `required`, `empty`, `too_large`, `too_long`,
    `not_media`, `no_audio`, `truncated`, `unsupported`, `too_slow`.
    """

    def __init__(self, message: str = "", *, code: str) -> None:
        super().__init__(message)
        self.code = code


class LeaseLost(RelayError):
    """The job belongs to somebody else now."""


class IllegalTransition(RelayError, ValueError):
    """A job may not change its status this way."""


class ProtocolError(RelayError, ValueError):
    """The upstream sent something outside its contract."""
