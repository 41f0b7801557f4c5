"""Uploads in parts that are interrupted or abandoned: only the part on its way is lost."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.live.cluster import SqliteCluster
from tests.live.recordings import MIB, random_wav
from tests.live.uploads.conftest import MakeClient
from tests.live.uploads.spool import finish_and_check, spool, the_part
from tests.live.uploads.tus_client import PART
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(120)


def test_an_interrupted_part_is_sent_again(
    sqlite_cluster: SqliteCluster, tus_client: MakeClient, medium: Path
) -> None:
    upload = tus_client(sqlite_cluster.web().url).create(medium)
    parts = upload.parts()
    assert next(parts) == PART
    upload.interrupt(PART, after=PART // 2)
    assert upload.server_offset() == PART
    # The rest of the interrupted part must not arrive later.
    upload.send_rest(PART)
    finish_and_check(sqlite_cluster, upload)
    sqlite_cluster.no_tracebacks()


def test_a_killed_server_loses_the_part_it_was_reading(
    sqlite_cluster: SqliteCluster, tus_client: MakeClient, medium: Path
) -> None:
    web = sqlite_cluster.web()
    upload = tus_client(web.url).create(medium)
    assert next(upload.parts()) == PART
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(lambda: [*upload.parts(PART, MIB)])
        wait_for(lambda: the_part(sqlite_cluster).stat().st_size > PART)
        web.kill()
        with pytest.raises(httpx.TransportError):
            sending.result(timeout=30)
    size = the_part(sqlite_cluster).stat().st_size
    sqlite_cluster.web(web.port)
    assert upload.server_offset() == size >= PART
    upload.send_rest(size)
    finish_and_check(sqlite_cluster, upload)


def test_a_server_killed_while_it_makes_the_job_makes_one(
    sqlite_cluster: SqliteCluster, tus_client: MakeClient, tmp_path: Path
) -> None:
    """It is killed while it makes the job; a second request then finds or makes one job."""
    file = random_wav(tmp_path / "end.wav", 2 * MIB)
    web = sqlite_cluster.web()
    client = tus_client(web.url)
    for delay in (0.0, 0.1, 0.3):
        upload = client.create(file)
        upload.send_rest()
        with ThreadPoolExecutor(1) as pool:
            finishing = pool.submit(upload.finish)
            threading.Event().wait(delay)
            web.kill()
            with contextlib.suppress(httpx.TransportError):
                finishing.result(timeout=30)
        web = sqlite_cluster.web(web.port)
        before = sqlite_cluster.rows("SELECT count(*) AS n FROM denoise_relay_job")[0]["n"]
        job = finish_and_check(sqlite_cluster, upload)
        assert upload.finish().json()["job"] == job
        after = sqlite_cluster.rows("SELECT count(*) AS n FROM denoise_relay_job")[0]["n"]
        assert after - before in (0, 1)
    assert after == 3


def test_an_abandoned_upload_expires(
    sqlite_cluster: SqliteCluster, tus_client: MakeClient, medium: Path
) -> None:
    upload = tus_client(sqlite_cluster.web(UPLOAD_EXPIRE_SECONDS="1").url).create(medium)
    next(upload.parts(size=MIB))
    wait_for(lambda: upload.send(MIB, MIB).status_code == 404, within=10)
    wait_for(lambda: time.time() > the_part(sqlite_cluster).stat().st_mtime + 1.1, within=10)
    tus_client(sqlite_cluster.webs[0].url).create(medium)
    assert len(list(spool(sqlite_cluster).glob("*.part"))) == 1
