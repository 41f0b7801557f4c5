"""Submissions of the tests beside."""

from __future__ import annotations

from denoise_relay.testing import answers

LOST_BODY = answers.read_body()
