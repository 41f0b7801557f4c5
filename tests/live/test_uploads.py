"""Uploads in parts through a real server: what they cost it, and that nothing is lost."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles

import httpx
import pytest

from tests.live.cluster import SqliteCluster, Web
from tests.live.tus_client import MIB, PART, Browser, Upload, loud_wav
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(120)

Browse = Callable[[str], Browser]
LARGE = 200 * MIB
DAPHNE_MEMORY_KB = 60 * 1024
"""What a large upload may cost: a part of 8 MB in its pieces, and what Python keeps of them."""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return loud_wav(tmp_path_factory.mktemp("large") / "large.wav", LARGE)


@pytest.fixture
def browse() -> Iterator[Browse]:
    """Make browsers, which are closed when the test is over."""
    with contextlib.ExitStack() as stack:
        yield lambda url: stack.enter_context(Browser(url))


@pytest.fixture
def medium(tmp_path: Path) -> Path:
    return loud_wav(tmp_path / "medium.wav", 3 * PART + 12_345)


class Watch:
    """Peak memory of a server, and how long others wait for an answer meanwhile."""

    def __init__(self, web: Web) -> None:
        self.web = web
        self.before_kb = web.memory_kb()
        self.peak_kb = 0
        self.waits: list[float] = []

    @property
    def rise_kb(self) -> int:
        return self.peak_kb - self.before_kb

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        over = threading.Event()

        def look() -> None:
            with httpx.Client(base_url=self.web.url, trust_env=False, timeout=60) as other:
                while not over.is_set():
                    begun = time.monotonic()
                    assert other.get("/healthz/live").status_code == 200
                    self.waits.append(time.monotonic() - begun)
                    self.peak_kb = max(self.peak_kb, self.web.memory_kb())
                    over.wait(0.02)

        with ThreadPoolExecutor(1) as pool:
            looking = pool.submit(look)
            try:
                yield
            finally:
                over.set()
                looking.result(timeout=60)

    def tell(self, what: str) -> None:
        worst, usual = max(self.waits), quantiles(self.waits, n=20)[-1]
        print(  # noqa: T201
            f"\n{what}: memory +{self.rise_kb / 1024:.0f} MB (from {self.before_kb / 1024:.0f}), "
            f"others waited {worst * 1000:.0f} ms at worst, {usual * 1000:.0f} ms at p95"
        )


def stored(cluster: SqliteCluster, job: str) -> str:
    """The digest of a job's recording, as it lies on disk."""
    name = cluster.job(job)["original"]
    path = Path(cluster.environ["MEDIA_ROOT"]) / name
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def finished(cluster: SqliteCluster, upload: Upload) -> str:
    """Have the job; its recording is the file, and nothing is left in the spool."""
    answer = upload.finish()
    assert answer.status_code == 201, f"{answer.text}\n{cluster.logs()}"
    job: str = answer.json()["job"]
    assert stored(cluster, job) == digest(upload.file)
    assert list(spool(cluster).iterdir()) == []
    return job


def spool(cluster: SqliteCluster) -> Path:
    return Path(cluster.environ["MEDIA_ROOT"]) / ".denoise-uploads"


def test_a_large_file_costs_the_server_a_part(
    single: SqliteCluster, browse: Browse, large: Path
) -> None:
    web = single.web()
    browser = browse(web.url)
    watch = Watch(web)
    with watch.watching():
        upload = browser.announce(large)
        begun = time.monotonic()
        for _ in upload.parts():
            pass
        took = time.monotonic() - begun
        finished(single, upload)
    watch.tell(f"200 MB in parts of 8 MB, {took:.1f} s")
    assert watch.rise_kb < DAPHNE_MEMORY_KB
    assert quantiles(watch.waits, n=20)[-1] < 0.5
    # Once, for a moment: this machine may be doing something else as well.
    assert max(watch.waits) < 3
    single.no_tracebacks()


def test_a_broken_part_is_sent_again(single: SqliteCluster, browse: Browse, medium: Path) -> None:
    upload = browse(single.web().url).announce(medium)
    parts = upload.parts()
    assert next(parts) == PART
    upload.break_off(PART, after=PART // 2)
    assert upload.stands() == PART
    # What was on its way must not arrive later.
    for _ in upload.parts(PART):
        pass
    finished(single, upload)
    single.no_tracebacks()


def test_a_killed_server_loses_the_part_it_was_reading(
    single: SqliteCluster, browse: Browse, medium: Path
) -> None:
    web = single.web()
    upload = browse(web.url).announce(medium)
    assert next(upload.parts()) == PART
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(lambda: [*upload.parts(PART, MIB)])
        wait_for(lambda: part_size(single) > PART)
        web.kill9()
        with pytest.raises(httpx.TransportError):
            sending.result(timeout=30)
    size = part_size(single)
    single.web(web.port)
    assert upload.stands() == size >= PART
    for _ in upload.parts(size):
        pass
    finished(single, upload)


def part_size(cluster: SqliteCluster) -> int:
    (part,) = spool(cluster).glob("*.part")
    return part.stat().st_size


def test_a_server_killed_at_the_end_makes_one_job(
    single: SqliteCluster, browse: Browse, tmp_path: Path
) -> None:
    """Killed while it makes the job; however far that got, asking again has one job."""
    file = loud_wav(tmp_path / "end.wav", 2 * MIB)
    web = single.web()
    browser = browse(web.url)
    for delay in (0.0, 0.1, 0.3):
        upload = browser.announce(file)
        for _ in upload.parts():
            pass
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(upload.finish)
            threading.Event().wait(delay)
            web.kill9()
            with contextlib.suppress(httpx.TransportError):
                asking.result(timeout=30)
        web = single.web(web.port)
        before = single.rows("SELECT count(*) AS n FROM denoise_relay_job")[0]["n"]
        job = finished(single, upload)
        assert upload.finish().json()["job"] == job
        after = single.rows("SELECT count(*) AS n FROM denoise_relay_job")[0]["n"]
        assert after - before in (0, 1)
    assert after == 3


def test_two_uploads_at_once_on_two_servers(
    single: SqliteCluster, browse: Browse, medium: Path
) -> None:
    """Parts of each go to either process in turn: they share the folder."""
    webs = [single.web(wait=False), single.web(wait=False)]
    for web in webs:
        web.ready()
    second = medium.with_name("second.wav")
    loud_wav(second, 2 * PART + 1)

    def send(file: Path) -> Upload:
        upload = browse(webs[0].url).announce(file)
        for offset in upload.parts(size=MIB):
            upload.browser.client.base_url = httpx.URL(webs[offset // MIB % 2].url)
        return upload

    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(send, [medium, second]))
    for upload in both:
        assert stored(single, upload.finish().json()["job"]) == digest(upload.file)
    assert list(spool(single).iterdir()) == []
    single.no_tracebacks()


def test_many_at_once_for_one_upload_write_each_byte_once(
    single: SqliteCluster, browse: Browse, medium: Path
) -> None:
    upload = browse(single.web().url).announce(medium)
    offset = 0
    with ThreadPoolExecutor(4) as pool:
        while offset < upload.size:
            answers = list(pool.map(upload.send, [offset] * 4))
            codes = sorted(answer.status_code for answer in answers)
            assert codes[0] == 204
            assert set(codes[1:]) <= {409, 423}, codes
            offset = upload.stands()
        codes = sorted(pool.map(lambda _: upload.finish().status_code, range(4)))
    assert codes[0] == 201
    assert set(codes) <= {201, 423}
    finished(single, upload)
    assert len(single.rows("SELECT id FROM denoise_relay_job")) == 1
    single.no_tracebacks()


def test_what_waits_too_long_expires(single: SqliteCluster, browse: Browse, medium: Path) -> None:
    upload = browse(single.web(UPLOAD_EXPIRE_SECONDS="1").url).announce(medium)
    next(upload.parts(size=MIB))
    wait_for(lambda: upload.send(MIB, MIB).status_code == 404, within=10)
    wait_for(lambda: time.time() > part_age(single) + 1.1, within=10)
    browse(single.webs[0].url).announce(medium)
    assert len(list(spool(single).glob("*.part"))) == 1


def part_age(cluster: SqliteCluster) -> float:
    (part,) = spool(cluster).glob("*.part")
    return part.stat().st_mtime
