"""The package's exceptions. Without a message, an exception has its class docstring's first line.

    RelayError
    ├── JobFailed            ends a job; its text is shown to the viewer
    │   ├── ServiceFailed    a service took the work, and says that it failed
    │   └── ServiceForgot    a service took the work, and does not know it any more
    ├── UploadRejected       (ValueError) a file that was refused before it became a job
    │   └── UploadDeferred   for now: the same file may be accepted later
    ├── NotEnded             (ValueError) a job that still runs is not repeated
    ├── RecordingDeleted     (FileNotFoundError) the storage has the recording of a job no more
    ├── LeaseLost            the job belongs to another supervisor, or was canceled
    ├── IllegalTransition    (ValueError) a change of status that the lifecycle does not allow
    └── ProtocolError        (ValueError) the upstream broke the SSE or JSON contract

A wrong configuration raises Django's `ImproperlyConfigured`, which is not in this tree, so that
`except RelayError` does not hide it.
"""

from __future__ import annotations


class RelayError(Exception):
    """Something went wrong in denoise_relay."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").splitlines()[0])


class JobFailed(RelayError):
    """The recording could not be processed.

    `str(error)` is shown to the viewer. `detail` is for staff only (admin, logs); it may name
    hosts, statuses and causes, never a key.
    """

    def __init__(self, message: str = "", *, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class ServiceFailed(JobFailed):
    """The recording could not be processed.

    The service took it and says itself that it failed, so that another try may do. Any other
    failure says nothing about the work, which may still be there, and paid for.
    """


class ServiceForgot(JobFailed):
    """The recording could not be processed.

    The service took it, and now knows nothing of it: there will be no result to fetch.
    """


class UploadRejected(RelayError, ValueError):
    """This file cannot be processed.

    `code` is stable and machine-readable: `required`, `empty`, `too_large`, `too_long`,
    `not_media`, `no_audio`, `silent`, `protected`, `truncated`, `unsupported`, `too_slow`,
    `unknown_preset`, `no_excerpt`, `bad_option`.
    """

    def __init__(self, message: str = "", *, code: str) -> None:
        super().__init__(message)
        self.code = code


class UploadDeferred(UploadRejected):
    """This file cannot be taken now; the same file may be taken later.

    `status` is that of an HTTP answer, `retry_seconds` its `Retry-After`. What has arrived of the
    file is kept.
    """

    def __init__(
        self, message: str = "", *, code: str, status: int = 503, retry_seconds: int = 10
    ) -> None:
        super().__init__(message, code=code)
        self.status = status
        self.retry_seconds = retry_seconds


class NotEnded(RelayError, ValueError):
    """This job has not ended yet."""


class RecordingDeleted(RelayError, FileNotFoundError):
    """The recording has been deleted."""


class LeaseLost(RelayError):
    """The job belongs to another lease now, or was canceled."""


class IllegalTransition(RelayError, ValueError):
    """A job may not change its status this way."""


class ProtocolError(RelayError, ValueError):
    """The upstream sent something outside its contract."""
