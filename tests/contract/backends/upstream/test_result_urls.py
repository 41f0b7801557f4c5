"""Which URLs a result may be fetched from, and with what."""

from __future__ import annotations

import socket
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.backends.upstream.errors import DownloadFailed
from denoise_relay.exceptions import JobFailed
from denoise_relay.testing import ScriptedUpstream, answers
from tests.contract.runs import NewBackend, NewRun

BAD_URLS = [
    "javascript:alert(1)",
    "data:audio/wav;base64,AAAA",
    "file:///etc/passwd",
    "ftp://example.com/a.wav",
    "/results/a.wav",
    "results/a.wav",
    "//example.com/a.wav",
    "http://",
    "https://user:password@example.com/a.wav",
    "http://exa mple.com/",
    "http://example.com\\@127.0.0.1/",
    "http://[::1",
    "http://example.com:99999/",
    "",
]
PRIVATE_URLS = [
    "http://127.0.0.1:1/a.wav",
    "http://localhost:1/a.wav",
    "http://127.1:1/",
    "http://2130706433:1/",
    "http://0x7f000001:1/",
    "http://0.0.0.0:1/",
    "http://10.0.0.8/a.wav",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]:1/",
    "http://[::ffff:127.0.0.1]:1/",
    "http://[fd00::1]/",
]


@pytest.mark.parametrize("url", BAD_URLS + PRIVATE_URLS)
async def test_a_bad_url_is_never_fetched(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun, url: str
) -> None:
    """The history is asked for a better one; it has the same."""
    record = upstream.add_record("a.wav", audio_url=url)
    upstream.finish(record)
    record.audio_url = url
    with pytest.raises(JobFailed, match=r"^The result could not be fetched\.$"):
        await new_backend(ALLOWED_RESULT_HOSTS=(), UPSTREAM_SILENCE_SECONDS=0.02).run(
            new_run(attempt=1, upstream_id=record.id)
        )
    assert upstream.counts["result"] == 0
    if url:
        assert upstream.counts["list"] == 1


@pytest.mark.parametrize("url", [url for url in BAD_URLS if url])
async def test_a_bad_url_is_never_passed_through(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun, url: str
) -> None:
    record = upstream.add_record("a.wav")
    upstream.finish(record)
    record.audio_url = url
    with pytest.raises(JobFailed, match="could not be fetched"):
        await new_backend(STORE_RESULTS=False).run(new_run(attempt=1, upstream_id=record.id))


async def test_redirects_are_followed_by_hand_and_without_the_key(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    async with ScriptedUpstream() as cdn:
        upstream.on_result(answers.redirect(f"{cdn.origin}/results/x.flac"))
        backend = new_backend(ALLOWED_RESULT_HOSTS=("127.0.0.1",))
        result = await backend.run(new_run())
        assert result.file is not None
        assert result.file.suffix == ".flac"
        assert "x-api-key" not in cdn.requests("result")[0].headers
        assert cdn.requests("result")[0].headers["host"] == cdn.netloc
    assert upstream.requests("result")[0].headers["x-api-key"] == upstream.key


async def test_a_redirect_to_a_private_address_is_refused(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    async with ScriptedUpstream() as inside:
        upstream.on_result(*[answers.redirect(f"{inside.origin}/results/x.wav")] * 20)
        with pytest.raises(JobFailed, match="could not be fetched"):
            await backend.run(new_run())
        assert not inside.seen


async def test_a_redirect_in_circles_ends(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    """Each try, after three redirects; the result is fetched once it is there."""
    upstream.on_result(*[answers.redirect("/results/x.wav")] * 8)
    await new_backend(UPSTREAM_SILENCE_SECONDS=0.1).run(new_run())
    assert upstream.counts["result"] == 9


async def test_a_stranger_does_not_get_the_key(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    async with ScriptedUpstream() as cdn:
        upstream.on_progress(answers.stream(answers.done(f"{cdn.origin}/results/x.wav")))
        await new_backend(ALLOWED_RESULT_HOSTS=(cdn.netloc,)).run(new_run())
        assert "x-api-key" not in cdn.requests("result")[0].headers


async def test_the_name_is_resolved_once_and_the_checked_address_is_used(
    upstream: ScriptedUpstream,
    new_backend: NewBackend,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that turns private between check and connect (DNS rebinding). Here 127.0.0.2
    plays the public address: nobody listens there."""
    asked = []
    real = socket.getaddrinfo

    def rebinding(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host in ("rebind.example", b"rebind.example"):
            asked.append(host)
            return real("127.0.0.2" if len(asked) == 1 else "127.0.0.1", port, *args, **kwargs)
        return real(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr("denoise_relay.backends.upstream.ssrf_guard.is_public", lambda _: True)
    url = f"http://rebind.example:{upstream.port}/results/x.wav"
    with pytest.raises(DownloadFailed):
        await new_backend(ALLOWED_RESULT_HOSTS=())._downloads.fetch(url, tmp_path)
    assert len(asked) == 1
    assert upstream.counts["result"] == 0


@pytest.mark.parametrize(("public", "fetched"), [("127.0.0.1", 1), ("127.0.0.2", 0)])
async def test_of_a_name_with_several_addresses_only_the_public_are_connected_to(
    upstream: ScriptedUpstream,
    new_backend: NewBackend,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    public: str,
    fetched: int,
) -> None:
    """Somebody listens at 127.0.0.1, and nobody at 127.0.0.2."""

    def both(_host: Any, port: Any, *_: Any) -> Any:
        addresses = ("127.0.0.1", "127.0.0.2")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    monkeypatch.setattr(
        "denoise_relay.backends.upstream.ssrf_guard.is_public", lambda address: address == public
    )
    url = f"http://both.example:{upstream.port}/results/x.wav"
    with nullcontext() if fetched else pytest.raises(DownloadFailed):
        await new_backend(ALLOWED_RESULT_HOSTS=())._downloads.fetch(url, tmp_path)
    assert upstream.counts["result"] == fetched


async def test_a_named_host_keeps_its_name_in_the_request(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    url = f"http://localhost:{upstream.port}/results/x.wav"
    upstream.on_progress(answers.stream(answers.done(url)))
    result = await new_backend(ALLOWED_RESULT_HOSTS=("LOCALHOST",)).run(new_run())
    assert result.file is not None
    (seen,) = upstream.requests("result")
    assert seen.headers["host"] == f"localhost:{upstream.port}"
    # `localhost` is another origin than 127.0.0.1, wherever it leads.
    assert "x-api-key" not in seen.headers
