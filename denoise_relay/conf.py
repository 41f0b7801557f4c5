"""The one setting `DENOISE_RELAY`: what there is to set, and how it is read.

`relay_settings()` is read where a value is used, never at import, and its cache is
cleared by `setting_changed`. What is wrong is reported by `problems()` (system checks,
`checks.py`) and falls back to the default here, so that a check can run at all.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed

from denoise_relay.conf_values import SHORT_BACKENDS, coerce, parse, problem_of

__all__ = [
    "PREFIX",
    "SHORT_BACKENDS",
    "RelaySettings",
    "configured",
    "from_environ",
    "problems",
    "relay_settings",
]

PREFIX = "DENOISE_RELAY"


@dataclass(frozen=True, kw_only=True)
class RelaySettings:
    """Every key of `DENOISE_RELAY` with its default. Times in seconds, sizes in bytes."""

    #: `upstream`, `local`, or the dotted path of a `backends.base.Backend`.
    BACKEND: str = "upstream"
    #: Name of the preset for jobs that choose none; empty: the backend's first.
    PRESET: str = ""
    #: Base URL of a server that speaks the contract.
    UPSTREAM_URL: str = "https://api.munsit.com/api/v1"
    #: Sent to UPSTREAM_URL as `x-api-key`, and to no other server.
    API_KEY: str = field(default="", repr=False)
    #: What tells other processes of news: `channel_layer` (Redis), or `postgresql` itself.
    PUBSUB: str = "channel_layer"
    #: Messages to other processes for one commit: one for each job; a commit of more jobs is one
    #: to all.
    MESSAGES_PER_COMMIT: int = 2
    #: `embedded`: jobs run in the ASGI server's process and loop; `external`: `denoise_worker`.
    WORKER: str = "embedded"
    #: Jobs that one process runs at a time; a backend may allow fewer.
    MAX_ACTIVE_JOBS: int = 100
    #: Local engines at a time in one process; 0 means one for each core.
    MAX_ENGINES: int = 0
    #: Processing events journaled for one job in one second, at the most.
    EVENTS_PER_SECOND: float = 10.0
    #: How long a process may be silent before another takes its jobs.
    LEASE_SECONDS: float = 15.0
    #: Longest recording that the upstream takes at once (the contract's 15 minutes); a longer one
    #: is submitted in parts.
    UPSTREAM_MAX_SECONDS: float = 900.0
    #: Largest file that the upstream takes at once.
    UPSTREAM_MAX_BYTES: int = 200 * 1024 * 1024
    #: Send the upstream the sound of a video, or of anything that gets much smaller so.
    SEND_SOUND_ONLY: bool = True
    #: Parts of one recording that are with the upstream at a time.
    UPSTREAM_PARTS_AT_ONCE: int = 2
    #: How often a part is submitted that the upstream fails.
    UPSTREAM_PART_ATTEMPTS: int = 2
    #: Silence after which an upstream stream counts as dead.
    UPSTREAM_SILENCE_SECONDS: float = 60.0
    #: Inactivity after which our own SSE closes (the contract's 15 minutes).
    STREAM_IDLE_SECONDS: float = 900.0
    #: From the first runner to the last moment; then the job ends with an error.
    JOB_DEADLINE_SECONDS: float = 7200.0
    #: Largest file accepted.
    MAX_UPLOAD_BYTES: int = 200 * 1024 * 1024
    #: Folder of uploads that arrive in parts; empty: beside the recordings, or the system's
    #: temporary folder where the storage is remote. Web processes must share it.
    UPLOAD_DIR: str = ""
    #: Folder of results until they are stored; empty: as for UPLOAD_DIR. Each worker's own.
    WORK_DIR: str = ""
    #: Largest part of a resumable upload, which is what it costs the server's memory.
    UPLOAD_PART_BYTES: int = 8 * 1024 * 1024
    #: How long an upload may take, from its announcement to its end.
    UPLOAD_EXPIRE_SECONDS: float = 86400.0
    #: Jobs of one user or API key that may wait for a runner; 0: any number.
    MAX_WAITING_PER_OWNER: int = 100
    #: The same for one visitor who is not logged in.
    MAX_WAITING_PER_VISITOR: int = 20
    #: The same for all requests from one address (IPv6: one /64).
    MAX_WAITING_PER_ADDRESS: int = 100
    #: Addresses or networks of the proxies whose `X-Forwarded-For` is believed.
    TRUSTED_PROXIES: tuple[str, ...] = ()
    #: Longest recording accepted.
    MAX_DURATION_SECONDS: float = 900.0
    #: Largest result downloaded from upstream.
    MAX_RESULT_BYTES: int = 2 * 1024 * 1024 * 1024
    #: How long to look for a submission whose answer was lost, before ON_LOST_SUBMISSION.
    SUBMISSION_GRACE_SECONDS: float = 30.0
    #: `resubmit` (may bill twice) or `fail`.
    ON_LOST_SUBMISSION: str = "resubmit"
    #: Compare each result with its recording before the job is called done.
    VERIFY_RESULTS: bool = True
    #: Draw waveforms and spectrograms of each result, measure it, and make the player's file.
    ANALYSE_RESULTS: bool = True
    #: Show and play the clean recording while it is made.
    PREVIEW: bool = True
    #: Keep results in our own storage; false passes the upstream's URL through.
    STORE_RESULTS: bool = True
    #: Hosts (`name` or `name:port`) whose results may come from private addresses.
    ALLOWED_RESULT_HOSTS: tuple[str, ...] = ()
    #: Dotted path of `policy(viewer, job, action) -> bool`; it may have a `filter_jobs` for lists.
    ACCESS_POLICY: str = "denoise_relay.access.default_policy"
    #: What becomes of the jobs of a user who is deleted: `keep` (staff still see them) or `delete`.
    ON_USER_DELETE: str = "keep"
    #: Days after which a supervisor, or `denoise_prune`, deletes ended jobs; 0 keeps them.
    RETENTION_DAYS: int = 0
    #: How often one process asks the journal whether its viewers missed something.
    POSITION_CHECK_SECONDS: float = 10.0
    #: Jobs that one socket may watch.
    MAX_WATCHES: int = 100
    #: Write frames to the viewers' sockets behind ASGI, where that is possible (Daphne).
    DIRECT_SENDS: bool = True
    #: Run the worker process on uvloop, where that is installed.
    UVLOOP: bool = True
    #: Let Python's garbage collector pass over what is loaded when a server or worker has started.
    TUNE_GC: bool = True
    #: Bearer token that opens `/metrics` from anywhere; without it, from this machine only.
    METRICS_TOKEN: str = field(default="", repr=False)


#: By name. What kind of value each takes is the type of its default.
_FIELDS: dict[str, dataclasses.Field[Any]] = {
    each.name: each for each in dataclasses.fields(RelaySettings)
}
_SECRETS = {"API_KEY", "METRICS_TOKEN"}


def configured() -> Mapping[str, Any]:
    """The dict as the site wrote it."""
    value = getattr(settings, PREFIX, {})
    return value if isinstance(value, Mapping) else {}


def problems() -> Iterator[tuple[str, str]]:
    """Yield `(key, what is wrong)`; unknown keys say which ones exist."""
    value = getattr(settings, PREFIX, {})
    if not isinstance(value, Mapping):
        yield PREFIX, f"must be a dict, not {type(value).__name__}"
        return
    for key, item in value.items():
        if key not in _FIELDS:
            yield str(key), f"is unknown; known keys: {', '.join(sorted(_FIELDS))}"
        elif problem := problem_of(key, _FIELDS[key].default, item):
            # The value of a key may be a secret that was put in the wrong place.
            shown = "" if key in _SECRETS else f", not {item!r}"
            yield key, problem + shown


@functools.cache
def relay_settings() -> RelaySettings:
    """The settings in force."""
    given = configured()
    known = {
        key: coerce(each.default, given[key])
        for key, each in _FIELDS.items()
        if key in given and not problem_of(key, each.default, given[key])
    }
    return RelaySettings(**known)


def from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    """Read `DENOISE_RELAY_<KEY>` variables into a dict for `DENOISE_RELAY`, by each key's type.

    What cannot be read is passed on as it is, so that the system checks report it.
    """
    found: dict[str, Any] = {}
    for name, text in environ.items():
        key = name.removeprefix(f"{PREFIX}_")
        if key != name and key in _FIELDS:
            found[key] = parse(_FIELDS[key].default, text.strip())
    return found


def _forget(*, setting: str, **_: Any) -> None:
    if setting == PREFIX:
        relay_settings.cache_clear()


setting_changed.connect(_forget, dispatch_uid="denoise_relay.conf")
