import assert from "node:assert/strict";
import { test } from "node:test";

import {
  Crossfade,
  FADE_SECONDS,
} from "../../../denoise_relay/static/denoise_relay/player/crossfade.js";
import { Clock } from "../fakes.js";

/** As an AudioParam: values at times, and lines between them. */
class Param {
  #events = [];

  cancelScheduledValues(from) {
    this.#events = this.#events.filter(({ at }) => at < from);
  }

  setValueAtTime(value, at) {
    this.#events.push({ value, at, line: false });
  }

  linearRampToValueAtTime(value, at) {
    this.#events.push({ value, at, line: true });
  }

  get starts() {
    return this.#events.filter(({ line }) => !line).map(({ at }) => at);
  }

  at(time) {
    const before = this.#events.findLast(({ at }) => at <= time);
    const next = this.#events.find(({ at }) => at > time);
    if (!next?.line) return before.value;
    return before.value + ((next.value - before.value) * (time - before.at)) / (next.at - before.at);
  }
}

class Audio {
  state = "running";
  baseLatency = 0.01;
  #clock;

  constructor(clock) {
    this.#clock = clock;
  }

  get currentTime() {
    return this.#clock.now / 1000;
  }
}

function begin(values = [0, 1]) {
  const clock = new Clock();
  const audio = new Audio(clock);
  const params = values.map(() => new Param());
  const fade = new Crossfade(audio, params, values, clock.setTimeout);
  return { clock, audio, params, fade, at: (time) => params.map((it) => it.at(time)) };
}

test("one line from the old values to the new ones", async () => {
  const { clock, fade, params, at } = begin();
  await clock.pass(1000);
  fade.to([1, 0]);
  const start = params[0].starts.at(-1);
  assert.ok(start > 1.01, "not before the audio thread can know of it");
  assert.ok(start < 1.05, "nobody hears that it is later");
  assert.deepEqual(at(start), [0, 1]);
  const [original, denoised] = at(start + FADE_SECONDS / 4);
  assert.ok(Math.abs(original - 0.25) < 1e-9 && Math.abs(denoised - 0.75) < 1e-9);
  assert.deepEqual(at(start + FADE_SECONDS + 1e-9), [1, 0]);
});

test("no value jumps, however fast it is switched, and the newest wins", async () => {
  const { clock, fade, at } = begin();
  for (let n = 0; n < 50; n += 1) {
    fade.to(n % 2 ? [0, 1] : [n / 50, -1]);
    await clock.pass(4);
  }
  fade.to([0.3, 0.6]);
  await clock.pass(200);
  const step = 0.0005;
  const most = (2 * step) / FADE_SECONDS + 1e-6;
  for (let time = 0; time < clock.now / 1000; time += step) {
    const [before, after] = [at(time), at(time + step)];
    assert.ok(before.every((value, n) => Math.abs(value - after[n]) <= most), `at ${time}`);
  }
  assert.deepEqual(at(clock.now / 1000), [0.3, 0.6]);
  assert.equal(clock.pending, 0);
});

test("what is the same does nothing", () => {
  const { clock, fade } = begin();
  fade.to([0, 1]);
  assert.equal(clock.pending, 0);
});

test("while nothing is heard it changes at once", async () => {
  const { clock, audio, fade, at } = begin();
  audio.state = "suspended";
  fade.to([1, 0]);
  assert.deepEqual(at(clock.now / 1000), [1, 0]);
});

test("a fade that was cut off by a pause is ended by it", async () => {
  const { clock, audio, fade, at } = begin();
  fade.to([1, 0]);
  audio.state = "suspended";
  fade.to([0.5, 0.5]);
  await clock.pass(200);
  assert.deepEqual(at(clock.now / 1000), [0.5, 0.5]);
  assert.equal(clock.pending, 0);
});
