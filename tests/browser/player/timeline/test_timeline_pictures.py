"""What the time line shows, in which colours, and when it is drawn."""

from __future__ import annotations

import pytest
from playwright.async_api import Route, expect

from tests.browser.player.timeline.conftest import OpenTimeline, TimelinePage
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_clean_shape_stands_in_front_of_the_noisy_one(timeline: TimelinePage) -> None:
    outside, inside = await timeline.colours()
    assert outside != inside
    # Another side is heard: it stands out by other colours.
    await timeline.player.set("side", "removed")

    async def changed() -> bool:
        return outside not in await timeline.colours()

    await eventually(changed)


async def test_the_colours_follow_the_page(timeline: TimelinePage) -> None:
    before = await timeline.colours()
    await timeline.tab.emulate_media(color_scheme="dark")

    async def is_dark() -> bool:
        return not set(before) & set(await timeline.colours())

    await eventually(is_dark)
    await timeline.tab.evaluate(
        "document.documentElement.style.setProperty('--denoise-accent', 'rgb(1, 2, 3)')"
    )

    async def is_ours() -> bool:
        return "1,2,3,255" in await timeline.colours()

    await eventually(is_ours)


async def test_nothing_is_drawn_while_it_plays(timeline: TimelinePage) -> None:
    await timeline.player.play_from(2)
    before = await timeline.tab.evaluate("drawn")
    await timeline.player.wait_until_position(4)
    assert await timeline.tab.evaluate("drawn") == before
    assert await timeline.tab.evaluate(
        "document.querySelector('[data-part=playhead]').style.transform"
    )
    # Zoomed, the view scrolls on: two screens are drawn at once.
    for _ in range(3):
        await timeline.button("Zoom in").click()
    await timeline.expect_span(2.5)
    each = await timeline.tab.evaluate("drawn") - before
    start = await timeline.tab.evaluate("drawn")
    await timeline.player.wait_until_position(9)
    assert await timeline.tab.evaluate("drawn") - start <= each * 3


async def test_nothing_moves_while_it_is_loaded(timeline: TimelinePage) -> None:
    shifts = await timeline.tab.evaluate("shifts")
    # A hundredth of what a person could notice: rounding of times while fonts settle.
    assert sum(shift for shift, *_ in shifts) < 0.001, shifts


async def test_both_spectrograms_are_there_in_the_same_zoom(timeline: TimelinePage) -> None:
    images = timeline.tab.locator('[data-part="spectrogram"] img')
    await expect(images).to_have_count(2)
    names = [await image.get_attribute("alt") for image in await images.all()]
    assert names == ["Spectrogram of the original", "Spectrogram of the clean recording"]
    for image in await images.all():
        assert await image.evaluate("it => it.complete && it.naturalWidth") == 16
    await timeline.player.seek(15)
    await timeline.button("Zoom in").click()
    await timeline.expect_span(10)
    scale = "it => new DOMMatrix(getComputedStyle(it).transform)"
    for image in await images.all():
        matrix = await image.evaluate(
            f"it => {{ const m = ({scale})(it); return [m.a, m.e / it.clientWidth]; }}"
        )
        # 15 s stays where it was, at three quarters: what is shown begins at 7.5 s.
        assert matrix == pytest.approx([2, -0.75], abs=0.01)


async def test_where_there_are_no_spectrograms_their_place_is_closed(
    open_timeline: OpenTimeline,
) -> None:
    async def broken(route: Route) -> None:
        await route.fulfill(content_type="image/png", body=b"no picture")

    timeline = await open_timeline(spectrograms=broken)
    images = timeline.tab.locator('[data-part="spectrogram"] img')
    await expect(images.first).to_be_hidden()
    await expect(images.last).to_be_hidden()
