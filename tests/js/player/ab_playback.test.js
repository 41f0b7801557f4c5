import assert from "node:assert/strict";
import { test } from "node:test";

import { ABPlayback } from "../../../denoise_relay/static/denoise_relay/player/ab_playback.js";

class Media {
  paused = true;
  ended = false;
  seeking = false;
  muted = false;
  currentTime = 0;

  constructor(duration = 10) {
    this.duration = duration;
  }

  play() {
    this.paused = false;
    this.ended = false;
    return Promise.resolve();
  }

  pause() {
    this.paused = true;
  }
}

function deck(original = new Media(), denoised = new Media()) {
  return { original, denoised, deck: new ABPlayback({ original, denoised }) };
}

test("begins with the clean one, the other muted", () => {
  const { original, denoised, deck: it } = deck();
  assert.equal(it.side, "denoised");
  assert.deepEqual([original.muted, denoised.muted], [true, false]);
});

test("both run, one is heard", async () => {
  const { original, denoised, deck: it } = deck();
  await it.play();
  assert.deepEqual([original.paused, denoised.paused], [false, false]);
  assert.ok(it.playing);
  it.pause();
  assert.deepEqual([original.paused, denoised.paused], [true, true]);
});

test("switching keeps the position and goes on playing", async () => {
  const { original, denoised, deck: it } = deck();
  await it.play();
  denoised.currentTime = 4.2;
  original.currentTime = 3.7;
  it.switchTo(it.side === "original" ? "denoised" : "original");
  assert.equal(it.side, "original");
  assert.equal(original.currentTime, 4.2);
  assert.deepEqual([original.muted, denoised.muted], [false, true]);
  assert.ok(it.playing);
  it.switchTo(it.side === "original" ? "denoised" : "original");
  assert.equal(it.side, "denoised");
  assert.equal(it.position, 4.2);
});

test("switching while paused stays paused", () => {
  const { original, deck: it } = deck();
  it.seek(5);
  it.switchTo(it.side === "original" ? "denoised" : "original");
  assert.equal(it.position, 5);
  assert.ok(original.paused);
});

test("seeking moves both, and stays inside", () => {
  const { original, denoised, deck: it } = deck();
  it.seek(3);
  assert.deepEqual([original.currentTime, denoised.currentTime], [3, 3]);
  it.seek(99);
  assert.equal(it.position, 10);
  it.seek(-4);
  assert.equal(it.position, 0);
});

test("a small drift is left alone, a larger one is put right", async () => {
  const { original, denoised, deck: it } = deck();
  await it.play();
  denoised.currentTime = 2;
  original.currentTime = 2.05;
  it.tick();
  assert.equal(original.currentTime, 2.05);
  original.currentTime = 2.2;
  it.tick();
  assert.equal(original.currentTime, 2);
  assert.equal(denoised.currentTime, 2, "what is heard never jumps");
});

test("one that is seeking is not asked to seek again", async () => {
  const { original, denoised, deck: it } = deck();
  await it.play();
  denoised.currentTime = 6;
  original.seeking = true;
  it.tick();
  assert.equal(original.currentTime, 0);
});

test("the end stops both, and play begins anew", async () => {
  const { original, denoised, deck: it } = deck();
  await it.play();
  denoised.currentTime = 10;
  denoised.ended = true;
  it.tick();
  assert.ok(original.paused && !it.playing);
  await it.play();
  assert.equal(it.position, 0);
});

test("an original that no browser plays is left out", async () => {
  const { original, denoised, deck: it } = deck(new Media(Number.NaN));
  it.markBroken("original");
  assert.equal(it.canSwitch(), false);
  await it.play();
  assert.ok(original.paused);
  assert.equal(denoised.paused, false);
  it.switchTo(it.side === "original" ? "denoised" : "original");
  assert.equal(it.side, "denoised");
  it.seek(4);
  assert.equal(original.currentTime, 0);
});

test("when the clean one cannot be played, the original is heard", () => {
  const { deck: it } = deck(new Media(7), new Media(Number.NaN));
  it.markBroken("denoised");
  assert.equal(it.side, "original");
  assert.equal(it.duration, 7);
});

test("a refused silent side does not stop the heard one", async () => {
  const original = new Media();
  original.play = () => Promise.reject(new Error("NotAllowedError"));
  const { deck: it } = deck(original);
  await it.play();
  assert.ok(it.playing);
});

test("a refusal to play is told", async () => {
  const denoised = new Media();
  denoised.play = () => Promise.reject(new Error("NotAllowedError"));
  const { deck: it } = deck(new Media(), denoised);
  await assert.rejects(it.play(), /NotAllowed/);
});

test("the duration is unknown until one side knows it", () => {
  const { deck: it } = deck(new Media(Number.NaN), new Media(Number.NaN));
  assert.equal(it.duration, 0);
});
