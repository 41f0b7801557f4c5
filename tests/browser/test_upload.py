"""Bringing files: chosen, dropped, several, wrong ones, broken lines."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Route, expect

from tests.browser.upstream import PacedUpstream
from tests.browser.visitor import WITHIN_MS, Visitor
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


def upload(name: str, content: Path | bytes) -> dict[str, Any]:
    body = content.read_bytes() if isinstance(content, Path) else content
    return {"name": name, "mimeType": "audio/wav", "buffer": body}


NOTES = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"hello"}
BROKEN = upload("broken.wav", b"no sound at all" * 100)


async def test_a_dropped_file_becomes_a_job(visitor: Visitor, recording: Path) -> None:
    await visitor.open()
    await visitor.drop(recording)
    await visitor.on_job_page()
    await expect(visitor.page.get_by_role("heading", level=1)).to_have_text("a talk.wav")
    await visitor.ends()


async def test_two_files_at_once(visitor: Visitor, recording: Path) -> None:
    await visitor.open()
    await visitor.choose(upload("one.wav", recording), upload("two.wav", recording))
    await expect(visitor.rows).to_have_count(2, timeout=WITHIN_MS)
    for name in ("one.wav", "two.wav"):
        row = visitor.rows.filter(has_text=name)
        await expect(row.locator('[data-part="badge"]')).to_have_text("Done", timeout=WITHIN_MS)
    assert {socket.url.rpartition("/ws")[2] for socket in visitor.sockets} == {"/denoise/"}
    await visitor.page.reload()
    await expect(visitor.rows).to_have_count(2)
    await visitor.rows.filter(has_text="two.wav").get_by_role("link").click()
    await visitor.on_job_page()
    await expect(visitor.page.get_by_role("heading", level=1)).to_have_text("two.wav")


async def test_my_recordings_share_one_socket(
    visitor: Visitor, upstream: PacedUpstream, recording: Path
) -> None:
    upstream.limit = 50
    await visitor.open()
    await visitor.choose(*(upload(name, recording) for name in ("a.wav", "b.wav", "c.wav")))
    await expect(visitor.rows).to_have_count(3, timeout=WITHIN_MS)
    visitor.sockets.clear()
    await visitor.page.reload()
    await expect(visitor.page.locator('[data-part="percent"]:text("50%")')).to_have_count(
        3, timeout=WITHIN_MS
    )
    assert [socket.url.rpartition("/ws")[2] for socket in visitor.sockets] == ["/denoise/"]
    upstream.limit = 100
    await expect(visitor.page.locator('denoise-job[data-stage="done"]')).to_have_count(
        3, timeout=WITHIN_MS
    )


async def test_a_wrong_kind_of_file_is_refused_at_the_field(visitor: Visitor) -> None:
    await visitor.open()
    await visitor.choose(NOTES)
    field = visitor.page.locator('input[type="file"]')
    await expect(field).to_have_attribute("aria-invalid", "true")
    assert "denoise-error" in (await field.get_attribute("aria-describedby") or "").split()
    error = visitor.page.locator("#denoise-error")
    await expect(error).to_have_text("This kind of file cannot be processed.")


async def test_the_servers_refusal_stands_at_the_field(visitor: Visitor) -> None:
    await visitor.open()
    visitor.noise_expected = True  # the browser logs the 400
    await visitor.choose(BROKEN)
    error = visitor.page.locator("#denoise-error")
    await expect(error).to_be_visible(timeout=WITHIN_MS)
    await expect(error).not_to_be_empty()
    await expect(visitor.page.locator('input[type="file"]')).to_have_attribute(
        "aria-invalid", "true"
    )
    assert "jobs" not in visitor.page.url


async def test_a_good_file_is_not_lost_beside_a_bad_one(visitor: Visitor, recording: Path) -> None:
    await visitor.open()
    visitor.noise_expected = True
    await visitor.choose(BROKEN, upload("good.wav", recording))
    good = visitor.rows.filter(has_text="good.wav")
    await expect(good.locator('[data-part="badge"]')).to_have_text("Done", timeout=WITHIN_MS)
    refused = visitor.page.locator('[data-state="rejected"]')
    await expect(refused).to_contain_text("broken.wav")
    await expect(refused.get_by_role("alert")).not_to_be_empty()
    await refused.get_by_role("button", name="Remove broken.wav").click()
    await expect(refused).to_have_count(0)


async def test_nothing_chosen(visitor: Visitor) -> None:
    await visitor.open()
    await visitor.page.get_by_role("button", name="Remove the noise").click()
    await expect(visitor.page.locator("#denoise-error")).to_have_text("Choose a recording first.")
    await expect(visitor.page.locator('input[type="file"]')).to_be_focused()


async def test_an_upload_can_be_canceled(visitor: Visitor, recording: Path) -> None:
    release = asyncio.Event()
    sent: list[str] = []

    async def hold(route: Route) -> None:
        if route.request.method != "POST":
            await route.continue_()
            return
        sent.append(route.request.url)
        await release.wait()
        await route.abort()

    await visitor.open()
    visitor.noise_expected = True
    await visitor.page.route("**/", hold)
    await visitor.choose(upload("slow.wav", recording))
    await expect(visitor.page.get_by_text("slow.wav")).to_be_visible()
    await eventually(lambda: sent)
    await visitor.page.get_by_role("button", name="Remove slow.wav").click()
    await expect(visitor.page.get_by_text("slow.wav")).to_have_count(0)
    release.set()
    await visitor.page.unroute_all(behavior="wait")
    await visitor.page.reload()
    await expect(visitor.rows).to_have_count(0)


async def test_a_broken_upload_can_be_tried_again(visitor: Visitor, recording: Path) -> None:
    await visitor.open()
    visitor.noise_expected = True
    cut = 0

    async def break_once(route: Route) -> None:
        nonlocal cut
        if route.request.method == "POST" and not cut:
            cut += 1
            await route.abort("connectionreset")
        else:
            await route.continue_()

    await visitor.page.route("**/", break_once)
    await visitor.choose(recording)
    await expect(visitor.page.get_by_text("The upload was interrupted.")).to_be_visible()
    await visitor.page.get_by_role("button", name="Try again").click()
    await visitor.on_job_page()
    assert cut == 1
