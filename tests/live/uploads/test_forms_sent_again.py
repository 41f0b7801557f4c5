"""A form whose answer is lost is sent again, as browsers and people do."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.live.cluster import SqliteCluster
from tests.live.recordings import SHORT
from tests.live.tcp_proxy import TcpProxy
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(120)


def test_a_form_whose_answer_is_lost_makes_one_job(sqlite_cluster: SqliteCluster) -> None:
    web = sqlite_cluster.web()

    def jobs() -> list[str]:
        return [row["id"] for row in sqlite_cluster.rows("SELECT id FROM denoise_relay_job")]

    with (
        TcpProxy(web.port) as proxy,
        httpx.Client(base_url=f"http://127.0.0.1:{proxy.port}", trust_env=False) as browser,
        ThreadPoolExecutor(1) as pool,
    ):
        page = browser.get("/").text
        csrf = {"csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        # The first answer makes the visitor, and does arrive.
        browser.post("/", data={**csrf, "sample": "1"})
        assert len(jobs()) == 1
        token = re.findall(r'name="form_token" value="([^"]+)"', page)[0]

        def send() -> httpx.Response:
            files = {"audio": ("talk.wav", SHORT, "audio/wav")}
            return browser.post("/", data={**csrf, "form_token": token}, files=files)

        proxy.hold_down()
        sending = pool.submit(send)
        wait_for(lambda: len(jobs()) == 2)
        proxy.cut()
        with pytest.raises(httpx.TransportError):
            sending.result(timeout=30)
        proxy.release()
        answer = send()
        assert answer.status_code == 302
        assert answer.headers["location"].split("/")[2].replace("-", "") in jobs()
        assert len(jobs()) == 2
    sqlite_cluster.no_tracebacks()
