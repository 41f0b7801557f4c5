"""A job's page follows the job over one socket, up to the player."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.browsers.job_page import JobPage
from tests.processes import WebProcess
from tests.upstreams import SteppedUpstream
from tests.waiting import wait_for

#: WebKit starts anew for each test.
pytestmark = pytest.mark.timeout(150)


def open_sockets(web: WebProcess) -> int:
    """How many WebSockets the server has open."""
    text = httpx.get(f"{web.url}/metrics", trust_env=False, timeout=10).text
    return int(float(text.partition("\ndenoise_relay_sockets ")[2].partition("\n")[0]))


def test_progress_arrives_over_a_socket(
    page: JobPage, upstream: SteppedUpstream, web: WebProcess, recording: Path
) -> None:
    wait_for(lambda: open_sockets(web) == 0)  # of the tab of the last test
    upstream.limit = 20
    page.upload(recording)
    page.wait_for_percent(20)
    assert open_sockets(web) == 1
    upstream.limit = 100
    page.wait_for_stage("done")
    page.expect_rising_percentages()
    others = [path for path in page.requests() if path.endswith(("/status/", "/events/"))]
    assert others == [], "it fell back to another transport"
    page.tab.wait_until("() => document.querySelector('denoise-player[data-enhanced]') !== null")
