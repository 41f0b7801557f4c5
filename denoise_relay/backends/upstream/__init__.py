"""The `upstream` backend: any server that speaks the contract does the job.

In: an assignment of the runner. Out: reports, and the result as a file or a URL. Start at
`backend`: it submits (`submission`), follows (`follower`) and fetches (`download`).
"""

from __future__ import annotations

from denoise_relay.backends.upstream.backend import UpstreamBackend

__all__ = ["UpstreamBackend"]
