import assert from "node:assert/strict";
import { test } from "node:test";

import { SegmentPlayback } from "../../../denoise_relay/static/denoise_relay/player/segment_playback.js";
import { settle } from "../fakes.js";

const SECONDS = 4;

class Source {
  onended = null;
  stoppedAt = null;

  constructor(context) {
    this.context = context;
  }

  connect() {}

  start(at, offset) {
    Object.assign(this, { at, offset, end: at + this.buffer.duration - offset });
    this.context.sources.push(this);
  }

  stop(at) {
    this.stoppedAt = at;
  }
}

/** Time passes when told; what ends by then says so, in order. */
class Context {
  currentTime = 0;
  destination = {};
  sources = [];
  closed = false;
  refuses = false;
  running = false;

  async resume() {
    if (this.refuses) throw new Error("no gesture");
    this.running = true;
  }

  async suspend() {
    this.running = false;
  }

  async close() {
    this.closed = true;
  }

  createGain() {
    const ramp = { setValueAtTime() {}, linearRampToValueAtTime() {}, setTargetAtTime() {}, cancelScheduledValues() {} };
    return { gain: ramp, connect() {} };
  }

  createBufferSource() {
    return new Source(this);
  }

  async decodeAudioData(bytes) {
    return { duration: bytes.seconds };
  }

  async pass(seconds) {
    const until = this.currentTime + seconds;
    for (let i = 0; i < 100; i += 1) {
      await settle();
      const due = this.sources.filter((it) => !it.over && Math.min(it.end, it.stoppedAt ?? Infinity) <= until);
      if (due.length === 0) break;
      const first = due.reduce((a, b) => (b.end < a.end ? b : a));
      first.over = true;
      this.currentTime = Math.max(this.currentTime, Math.min(first.end, first.stoppedAt ?? Infinity));
      first.onended?.();
    }
    this.currentTime = until;
    await settle();
  }

  /** Decoded and not yet over. */
  get kept() {
    return this.sources.filter((it) => !it.over).length;
  }
}

function player({ lost = [], last = SECONDS, refuses = false } = {}) {
  const context = new Context();
  context.refuses = refuses;
  const asked = [];
  let changes = 0;
  const playback = new SegmentPlayback({
    makeContext: () => context,
    load: async (number) => {
      asked.push(number);
      return lost.includes(number) ? null : { seconds: number === 9 ? last : SECONDS };
    },
    onChange: () => {
      changes += 1;
    },
  });
  return { playback, context, asked, changes: () => changes };
}

test("pieces join exactly, and few are fetched ahead", async () => {
  const { playback, context, asked } = player();
  playback.setAvailable(10, SECONDS);
  await playback.play();
  await context.pass(0);
  assert.deepEqual(asked, [0, 1]);
  let most = 0;
  for (let i = 0; i < 36; i += 1) {
    await context.pass(1);
    most = Math.max(most, context.kept);
  }
  assert.deepEqual(asked, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const { sources } = context;
  for (let i = 1; i < sources.length; i += 1) assert.equal(sources[i].at, sources[i - 1].end);
  assert.ok(most <= 2, `${most} are kept`);
});

test("the position is that of what is heard", async () => {
  const { playback, context } = player();
  playback.setAvailable(3, SECONDS);
  await playback.play();
  await context.pass(0);
  const began = context.sources[0].at;
  await context.pass(6);
  assert.ok(Math.abs(playback.position - (6 - began)) < 1e-9);
});

test("plays from a place in the middle of a piece", async () => {
  const { playback, context, asked } = player();
  playback.setAvailable(5, SECONDS);
  await playback.play(9.5);
  await context.pass(0);
  assert.deepEqual(asked, [2, 3]);
  const [first, second] = context.sources;
  assert.equal(first.offset, 1.5);
  assert.equal(second.offset, 0);
  assert.equal(second.at, first.end);
  await context.pass(first.at + 1);
  assert.ok(Math.abs(playback.position - 10.5) < 1e-9);
});

test("waits at the end of what is there, and goes on with the next piece", async () => {
  const { playback, context, changes } = player();
  playback.setAvailable(1, SECONDS);
  await playback.play(2);
  await context.pass(5);
  assert.equal(playback.playing, true);
  assert.equal(playback.waiting, true);
  assert.equal(playback.position, 4);
  const before = changes();
  playback.setAvailable(2, SECONDS);
  await context.pass(0);
  assert.equal(playback.waiting, false);
  assert.equal(changes(), before + 1);
  const { at } = context.sources[1];
  assert.ok(at >= 5, "it began in the past");
  await context.pass(1);
  assert.ok(playback.position > 4.5 && playback.position < 5);
});

test("a jump throws away what was scheduled", async () => {
  const { playback, context } = player();
  playback.setAvailable(10, SECONDS);
  await playback.play();
  await context.pass(1);
  await playback.play(20);
  await context.pass(0.1);
  const stopped = context.sources.filter((it) => it.stoppedAt !== null);
  assert.equal(stopped.length, 2);
  assert.ok(playback.position >= 20 && playback.position < 20.2);
});

test("a place that is not there yet is the end of what is there", async () => {
  const { playback, context } = player();
  playback.setAvailable(2, SECONDS);
  await playback.play(100);
  await context.pass(0.1);
  assert.equal(playback.position, 8);
  assert.equal(playback.waiting, true);
});

test("pause keeps the place", async () => {
  const { playback, context } = player();
  playback.setAvailable(10, SECONDS);
  await playback.play();
  await context.pass(3.05);
  playback.pause();
  await context.pass(10);
  assert.ok(Math.abs(playback.position - 3) < 0.01);
  assert.equal(playback.playing, false);
  assert.equal(context.running, false, "it costs power");
  await playback.play();
  await context.pass(1.05);
  assert.ok(Math.abs(playback.position - 4) < 0.01);
});

test("a piece that arrives after a jump is not played", async () => {
  const context = new Context();
  const waiting = [];
  const playback = new SegmentPlayback({
    makeContext: () => context,
    load: () => new Promise((resolve) => waiting.push(resolve)),
    onChange() {},
  });
  playback.setAvailable(10, SECONDS);
  await playback.play(0);
  await settle();
  await playback.play(12);
  await settle();
  for (const resolve of waiting) resolve({ seconds: SECONDS });
  await settle();
  assert.deepEqual(context.sources.map((it) => it.offset), [0]);
  assert.ok(playback.position >= 12);
});

test("a lost piece is left out; when all are lost, it stops", async () => {
  const one = player({ lost: [1] });
  one.playback.setAvailable(3, SECONDS);
  await one.playback.play();
  await one.context.pass(0);
  assert.deepEqual(one.asked, [0, 1, 2]);
  await one.context.pass(5);
  assert.ok(one.playback.position > 8);
  const all = player({ lost: [0, 1, 2, 3, 4, 5] });
  all.playback.setAvailable(6, SECONDS);
  await all.playback.play();
  await all.context.pass(0);
  assert.equal(all.asked.length, 3);
  assert.equal(all.playback.playing, false);
});

test("a browser that refuses leaves it paused", async () => {
  const { playback } = player({ refuses: true });
  playback.setAvailable(3, SECONDS);
  await assert.rejects(playback.play(), /no gesture/);
  assert.equal(playback.playing, false);
});

test("closing stops and gives the context back", async () => {
  const { playback, context } = player();
  playback.setAvailable(3, SECONDS);
  await playback.play();
  await context.pass(1);
  playback.close();
  assert.equal(context.closed, true);
  assert.equal(playback.playing, false);
  await context.pass(20);
  assert.equal(context.sources.length, 2);
});
