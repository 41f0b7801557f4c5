import assert from "node:assert/strict";
import { test } from "node:test";

import { Deck } from "../../../denoise_relay/static/denoise_relay/comparison/deck.js";

class Gain {
  value = 1;
  cancelScheduledValues() {}
  setTargetAtTime(target) {
    this.value = target;
  }
}

class Source {
  buffer = null;
  connect(volume) {
    this.volume = volume;
    return volume;
  }
  start(when, offset) {
    this.startedAt = [when, offset];
  }
  stop() {
    this.stopped = true;
  }
  disconnect() {}
}

/** An audio graph whose time passes when told. */
class Context {
  currentTime = 5;
  destination = {};
  sources = [];
  closed = false;
  refuses = false;

  async resume() {
    if (this.refuses) throw new Error("NotAllowedError");
  }

  createBufferSource() {
    this.sources.push(new Source());
    return this.sources.at(-1);
  }

  createGain() {
    return { gain: new Gain(), connect() {}, disconnect() {} };
  }

  async close() {
    this.closed = true;
  }

  /** The gain of each recording that runs. */
  get volumes() {
    return Object.fromEntries(
      this.sources.filter((it) => !it.stopped).map((it) => [it.buffer.name, it.volume.gain.value]),
    );
  }
}

const LEAD = 0.02;

function deck(gains = { a: 0.5, b: 0.8, o: 1 }, duration = 10) {
  const context = new Context();
  const recordings = new Map(
    Object.entries(gains).map(([name, gain]) => [name, { buffer: { name, duration }, gain }]),
  );
  let opened = 0;
  const it = new Deck(recordings, "a", () => {
    opened += 1;
    return context;
  });
  return { it, context, opened: () => opened };
}

test("no audio device before somebody plays", async () => {
  const { it, opened } = deck();
  it.switchTo("b");
  it.seek(3);
  assert.equal(opened(), 0);
  await it.play();
  assert.equal(opened(), 1);
  assert.equal(it.side, "b");
});

test("all begin at the same moment, and one is heard, at its own gain", async () => {
  const { it, context } = deck();
  it.seek(3);
  await it.play();
  const starts = context.sources.map((source) => source.startedAt);
  assert.deepEqual(starts, [[5 + LEAD, 3], [5 + LEAD, 3], [5 + LEAD, 3]]);
  assert.deepEqual(context.volumes, { a: 0.5, b: 0, o: 0 });
});

test("a switch moves the gain and nothing else", async () => {
  const { it, context } = deck();
  await it.play();
  context.currentTime += 2 + LEAD;
  const running = [...context.sources];
  it.switchTo("b");
  assert.deepEqual(context.volumes, { a: 0, b: 0.8, o: 0 });
  assert.deepEqual(context.sources, running, "nothing was started anew");
  assert.ok(Math.abs(it.position - 2) < 1e-9);
  it.switchTo("o");
  assert.deepEqual(context.volumes, { a: 0, b: 0, o: 1 });
});

test("a side that is not there is not switched to", async () => {
  const { it, context } = deck({ a: 1, b: 1 });
  await it.play();
  it.switchTo("o");
  assert.equal(it.side, "a");
  assert.deepEqual(context.volumes, { a: 1, b: 0 });
});

test("pausing keeps the position, and playing goes on from there", async () => {
  const { it, context } = deck();
  await it.toggle();
  context.currentTime += 4 + LEAD;
  await it.toggle();
  assert.equal(it.playing, false);
  context.currentTime += 100;
  assert.ok(Math.abs(it.position - 4) < 1e-9);
  await it.toggle();
  assert.ok(Math.abs(context.sources.at(-1).startedAt[1] - 4) < 1e-9);
});

test("seeking stays inside, and goes on playing", async () => {
  const { it, context } = deck();
  it.seek(-4);
  assert.equal(it.position, 0);
  it.seek(99);
  assert.equal(it.position, 10);
  it.seek(2);
  await it.play();
  it.seek(6);
  assert.ok(it.playing);
  assert.equal(it.position, 6);
  assert.equal(context.sources.filter((source) => !source.stopped).length, 3);
});

test("it stops at the end, and begins anew", async () => {
  const { it, context } = deck();
  await it.play();
  context.currentTime += 9;
  it.tick();
  assert.ok(it.playing);
  context.currentTime += 9;
  assert.equal(it.position, 10);
  it.tick();
  assert.equal(it.playing, false);
  await it.play();
  assert.equal(it.position, 0);
});

test("a refusal to play is told, and may be overcome", async () => {
  const { it, context } = deck();
  context.refuses = true;
  await assert.rejects(it.play(), /NotAllowed/);
  assert.equal(it.playing, false);
  context.refuses = false;
  await it.play();
  assert.ok(it.playing);
});

test("pressing play twice starts once", async () => {
  const { it, context } = deck();
  await Promise.all([it.play(), it.play()]);
  assert.equal(context.sources.length, 3);
});

test("closing stops and frees the device", async () => {
  const { it, context } = deck();
  await it.play();
  it.close();
  assert.ok(context.closed);
  assert.deepEqual(context.volumes, {});
});
