import assert from "node:assert/strict";
import { test } from "node:test";

import { TimeView, markEvery } from "../../../denoise_relay/static/denoise_relay/player/time_view.js";

function view(duration = 100) {
  const it = new TimeView();
  it.setDuration(duration);
  return it;
}

/** Let the playhead run for so long at 60 frames a second. */
function run(it, from, seconds, glide = true) {
  let position = from;
  for (let frame = 0; frame < seconds * 60; frame += 1) {
    it.follow(position, position + 1 / 60, glide);
    position += 1 / 60;
  }
  return position;
}

test("shows everything at first", () => {
  const it = view();
  assert.deepEqual([it.start, it.span, it.zoomed], [0, 100, false]);
  assert.equal(it.fraction(25), 0.25);
  assert.equal(it.seconds(0.25), 25);
  assert.equal(it.seconds(7), 100);
});

test("before the length is known nothing breaks", () => {
  const it = new TimeView();
  it.zoom(2, 0);
  it.follow(0, 1, true);
  assert.deepEqual([it.start, it.span, it.fraction(3), it.seconds(0.5)], [0, 0, 0, 0]);
});

test("zooms about a moment, which stays where it is", () => {
  const it = view();
  it.zoom(2, 30);
  assert.equal(it.span, 50);
  assert.equal(it.fraction(30), 0.3);
  it.zoom(4, 20);
  assert.equal(it.span, 12.5);
  it.zoom(0.01, 20);
  assert.deepEqual([it.start, it.span], [0, 100]);
});

test("zooms down to one second, and not beyond the ends", () => {
  const it = view(900);
  it.zoom(100_000, 899.9);
  assert.equal(it.span, 1);
  assert.ok(it.closest);
  assert.ok(it.start + it.span <= 900);
  const short = view(0.4);
  short.zoom(2, 0.2);
  assert.deepEqual([short.span, short.closest, short.zoomed], [0.4, true, false]);
});

test("scrolls within the recording", () => {
  const it = view();
  it.zoom(10, 0);
  it.scrollTo(95);
  assert.equal(it.start, 90);
  it.scrollTo(-3);
  assert.equal(it.start, 0);
});

test("a longer recording keeps what is shown", () => {
  const it = view(100);
  it.setDuration(120);
  assert.equal(it.span, 120);
  it.zoom(12, 0);
  it.setDuration(130);
  assert.equal(it.span, 10);
  it.setDuration(4);
  assert.deepEqual([it.start, it.span], [0, 4]);
});

test("glides with the playhead until it is in the middle", () => {
  const it = view();
  it.zoom(10, 0);
  const position = run(it, 0, 20);
  const fraction = it.fraction(position);
  assert.ok(fraction > 0.45 && fraction < 0.55, `${fraction}`);
});

test("at one second the playhead stays in view", () => {
  const it = view();
  it.zoom(100, 0);
  const position = run(it, 0, 8);
  assert.ok(it.fraction(position) > 0.4 && it.fraction(position) < 0.75, `${it.fraction(position)}`);
});

test("with reduced motion it turns pages", () => {
  const it = view();
  it.zoom(10, 0);
  run(it, 0, 9.9, false);
  assert.equal(it.start, 0);
  const position = run(it, 9.9, 0.5, false);
  assert.ok(it.shows(position));
  assert.ok(it.start > 9);
});

test("a jump brings the view along, one within it moves nothing", () => {
  const it = view();
  it.zoom(10, 0);
  it.follow(0, 8, true);
  assert.equal(it.start, 0);
  it.follow(8, 60, true);
  assert.equal(it.start, 55);
  it.follow(60, 2, true);
  assert.equal(it.start, 0);
});

test("scrolled away by hand it stays there while it plays, until the playhead comes or a jump", () => {
  const it = view();
  it.zoom(10, 0);
  it.scrollTo(50);
  run(it, 0, 2);
  assert.equal(it.start, 50);
  it.follow(2, 7, true);
  assert.ok(it.shows(7));
});

test("marks of the ruler are round times", () => {
  assert.deepEqual([0.07, 0.3, 4, 31, 700, 5000].map(markEvery), [0.1, 0.5, 5, 60, 900, 7200]);
});
