"""The upload form: files that are chosen or dropped, several, refused, canceled, interrupted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Route, expect

from tests.browser.files import BROKEN, NOTES, audio_file
from tests.browser.site_page import WITHIN_MS, SitePage
from tests.upstreams import SteppedUpstream
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_dropped_file_becomes_a_job(page: SitePage, recording: Path) -> None:
    await page.goto()
    await page.drop(recording)
    await page.wait_for_job_page()
    await expect(page.title).to_have_text("a talk.wav")
    await page.wait_for_stage()


async def test_two_files_at_once(page: SitePage, recording: Path) -> None:
    await page.goto()
    await page.choose(audio_file("one.wav", recording), audio_file("two.wav", recording))
    await expect(page.rows).to_have_count(2, timeout=WITHIN_MS)
    for name in ("one.wav", "two.wav"):
        await expect(page.badge(name)).to_have_text("Done", timeout=WITHIN_MS)
    assert {socket.url.rpartition("/ws")[2] for socket in page.sockets} == {"/denoise/"}
    await page.tab.reload()
    await expect(page.rows).to_have_count(2)
    await page.rows.filter(has_text="two.wav").get_by_role("link").click()
    await page.wait_for_job_page()
    await expect(page.title).to_have_text("two.wav")


async def test_the_rows_share_one_socket(
    page: SitePage, upstream: SteppedUpstream, recording: Path
) -> None:
    upstream.limit = 50
    await page.goto()
    await page.choose(*(audio_file(name, recording) for name in ("a.wav", "b.wav", "c.wav")))
    await expect(page.rows).to_have_count(3, timeout=WITHIN_MS)
    page.sockets.clear()
    await page.tab.reload()
    await expect(page.tab.locator('[data-part="percent"]:text("50%")')).to_have_count(
        3, timeout=WITHIN_MS
    )
    assert [socket.url.rpartition("/ws")[2] for socket in page.sockets] == ["/denoise/"]
    upstream.limit = 100
    await expect(page.tab.locator('denoise-job[data-stage="done"]')).to_have_count(
        3, timeout=WITHIN_MS
    )


async def test_a_wrong_kind_of_file_is_refused_at_the_field(page: SitePage) -> None:
    await page.goto()
    await page.choose(NOTES)
    await page.expect_refusal_at_field()
    await expect(page.field_error).to_have_text("This kind of file cannot be processed.")


async def test_the_servers_refusal_is_shown_at_the_field(page: SitePage) -> None:
    await page.goto()
    page.errors_expected = True  # the browser logs the 400
    await page.choose(BROKEN)
    await expect(page.field_error).to_be_visible(timeout=WITHIN_MS)
    await expect(page.field_error).not_to_be_empty()
    await expect(page.file_field).to_have_attribute("aria-invalid", "true")
    assert "jobs" not in page.tab.url


async def test_a_good_file_is_uploaded_beside_a_refused_one(
    page: SitePage, recording: Path
) -> None:
    await page.goto()
    page.errors_expected = True
    await page.choose(BROKEN, audio_file("good.wav", recording))
    await expect(page.badge("good.wav")).to_have_text("Done", timeout=WITHIN_MS)
    refused = page.tab.locator('[data-state="rejected"]')
    await expect(refused).to_contain_text("broken.wav")
    await expect(refused.get_by_role("alert")).not_to_be_empty()
    await refused.get_by_role("button", name="Remove broken.wav").click()
    await expect(refused).to_have_count(0)


async def test_no_file_is_chosen(page: SitePage) -> None:
    await page.goto()
    await page.button("Remove the noise").click()
    await expect(page.field_error).to_have_text("Choose a recording first.")
    await expect(page.file_field).to_be_focused()


async def test_an_upload_can_be_canceled(page: SitePage, recording: Path) -> None:
    release = asyncio.Event()
    sent: list[str] = []

    async def hold(route: Route) -> None:
        if route.request.method != "POST":
            await route.continue_()
            return
        sent.append(route.request.url)
        await release.wait()
        await route.abort()

    await page.goto()
    page.errors_expected = True
    await page.tab.route("**/", hold)
    await page.choose(audio_file("slow.wav", recording))
    await expect(page.tab.get_by_text("slow.wav")).to_be_visible()
    await eventually(lambda: sent)
    await page.button("Remove slow.wav").click()
    await expect(page.tab.get_by_text("slow.wav")).to_have_count(0)
    release.set()
    await page.tab.unroute_all(behavior="wait")
    await page.tab.reload()
    await expect(page.rows).to_have_count(0)


async def test_an_interrupted_upload_can_be_tried_again(page: SitePage, recording: Path) -> None:
    await page.goto()
    page.errors_expected = True
    failures = 0

    async def fail_once(route: Route) -> None:
        nonlocal failures
        if route.request.method == "POST" and not failures:
            failures += 1
            await route.abort("connectionreset")
        else:
            await route.continue_()

    await page.tab.route("**/", fail_once)
    await page.choose(recording)
    await expect(page.tab.get_by_text("The upload was interrupted.")).to_be_visible()
    await page.button("Try again").click()
    await page.wait_for_job_page()
    assert failures == 1
