"""A scripted upstream for test suites: the contract over real sockets, misbehaving on demand.

    async with ScriptedUpstream() as upstream:
        upstream.on_progress(answers.stream(answers.processing(15)), answers.reset())
        settings = {"UPSTREAM_URL": upstream.url, "API_KEY": upstream.key, ...}

Without a script it speaks the contract. It imports neither Django nor the rest of this
package, and a `with` statement runs it in a thread of its own for synchronous tests.
For pytest: `pytest_plugins = ["denoise_relay.testing.pytest_plugin"]` gives the fixture
`scripted_upstream`.
"""

from __future__ import annotations

from denoise_relay.testing.answers import Answer
from denoise_relay.testing.server import ScriptedUpstream
from denoise_relay.testing.state import Record, Seen, Upload, tone_wav

__all__ = ["Answer", "Record", "ScriptedUpstream", "Seen", "Upload", "answers", "tone_wav"]
