import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import {
  WaveformData,
  growWaveform,
  loadWaveform,
} from "../../../denoise_relay/static/denoise_relay/player/waveform_data.js";

/** Pixels from -n to n, as the server sends them. */
function json(pairs, more = {}) {
  return {
    version: 2,
    channels: 1,
    sample_rate: 48_000,
    samples_per_pixel: 256,
    bits: 8,
    length: pairs.length,
    data: pairs.flat(),
    ...more,
  };
}

function shape(count, value = (i) => i % 100) {
  return Array.from({ length: count }, (_, i) => [-value(i), value(i)]);
}

function columns(data, from, to, count) {
  const filled = new Float32Array(count * 2);
  data.columns(from, to, filled);
  return [...filled];
}

const usualFetch = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = usualFetch;
});

/** Answers each request with the next of these; null is a 404. */
function answering(...answers) {
  const asked = [];
  globalThis.fetch = async (url) => {
    asked.push(url);
    const body = answers.shift();
    return { status: body === null ? 404 : 200, json: async () => body };
  };
  return asked;
}

test("knows its length in seconds", () => {
  const data = new WaveformData();
  assert.equal(data.duration, 0);
  assert.equal(data.append(json(shape(375))), true);
  assert.equal(data.length, 375);
  assert.equal(data.pixelsPerSecond, 187.5);
  assert.equal(data.duration, 2);
  assert.equal(data.complete, true);
});

test("a column has the extremes of all its pixels, whatever the zoom", () => {
  const noise = (i) => (i * 7919) % 61;
  const whole = shape(5_000, noise);
  whole[1_234] = [-128, 127];
  const data = new WaveformData();
  data.append(json(whole));
  for (const span of [1, 2, 7.5, 8, 33, 128, 500]) {
    const count = Math.floor(5_000 / span);
    const found = columns(data, 0, count * span, count);
    for (let i = 0; i < count; i += 1) {
      const inside = whole.slice(Math.floor(i * span), Math.ceil((i + 1) * span));
      const [low, high] = [Math.min(...inside.map(([it]) => it)), Math.max(...inside.map(([, it]) => it))];
      assert.ok(found[i * 2] <= low && found[i * 2 + 1] >= high, `${span}: column ${i} is too small`);
      // Blocks reach over the edges of a column by less than half of its width.
      const wider = whole.slice(Math.max(0, Math.floor((i - 0.5) * span)), Math.ceil((i + 1.5) * span));
      assert.ok(found[i * 2 + 1] <= Math.max(...wider.map(([, it]) => it)), `${span}: column ${i} is too large`);
    }
  }
});

test("between pixels it is interpolated", () => {
  const data = new WaveformData();
  data.append(json([[-10, 10], [-20, 30]]));
  // Four columns over two pixels: middles at 0.25, 0.75, 1.25, 1.75, and pixels at 0.5 and 1.5.
  assert.deepEqual(columns(data, 0, 2, 4), [-10, 10, -12.5, 15, -17.5, 25, -20, 30]);
});

test("where nothing is known it is flat", () => {
  const data = new WaveformData();
  data.append(json([[-5, 5], [-6, 6]]));
  assert.deepEqual(columns(data, -2, 6, 4), [0, 0, -6, 6, 0, 0, 0, 0]);
  assert.deepEqual(columns(data, 2.5, 3, 2), [0, 0, 0, 0]);
  assert.deepEqual(columns(new WaveformData(), 0, 1, 4), [0, 0, 0, 0, 0, 0, 0, 0]);
});

test("grown by parts it is as when it came whole", () => {
  const pairs = shape(3_001, (i) => (i * 31) % 127);
  const whole = new WaveformData();
  whole.append(json(pairs));
  const grown = new WaveformData();
  for (let first = 0, size = 1; first < pairs.length; first += size, size += 13) {
    const part = pairs.slice(first, first + size);
    assert.equal(grown.append(json(part, { first, complete: false })), true);
  }
  assert.equal(grown.length, whole.length);
  assert.equal(grown.complete, false);
  for (const count of [1, 10, 333, 3_001, 9_000]) {
    assert.deepEqual(columns(grown, 0, 3_001, count), columns(whole, 0, 3_001, count));
  }
  assert.equal(grown.peak, 126);
  assert.equal(whole.peak, 126);
});

test("a job that began again begins the waveform again", () => {
  const data = new WaveformData();
  data.append(json(shape(100), { first: 0, complete: false }));
  // The server has less now: what it sends begins elsewhere.
  data.append(json([], { first: 30, complete: false }));
  assert.equal(data.length, 0);
  data.append(json([[-9, 9]], { first: 0, complete: false }));
  assert.deepEqual(columns(data, 0, 2, 2), [-9, 9, 0, 0]);
  // Of another scale: the result's rate is another.
  data.append(json([[-3, 3]], { first: 0, samples_per_pixel: 128 }));
  assert.equal(data.length, 1);
  assert.equal(data.pixelsPerSecond, 375);
});

test("says what can be heard", () => {
  const data = new WaveformData();
  data.append(json(shape(10), { first: 0, complete: false, segments: 3, segment_seconds: 4 }));
  assert.deepEqual([data.segments, data.segmentSeconds], [3, 4]);
});

test("anything that is no waveform changes nothing", () => {
  const data = new WaveformData();
  data.append(json(shape(5)));
  const pictures = json(shape(5), { channels: 2 });
  for (const other of [null, {}, pictures, json([], { data: "no" }), json([], { samples_per_pixel: 0 })]) {
    assert.equal(data.append(other), false);
  }
  assert.equal(data.length, 5);
});

test("asks for what is not yet known", async () => {
  const asked = answering(
    json(shape(4), { first: 0, complete: false }),
    json(shape(2), { first: 4, complete: true }),
  );
  const data = new WaveformData();
  assert.equal(await growWaveform(data, "/w/"), true);
  assert.equal(await growWaveform(data, "/w/"), true);
  assert.deepEqual(asked, ["/w/?from=0&soon=1", "/w/?from=4&soon=1"]);
  assert.equal(data.length, 6);
  assert.equal(data.complete, true);
});

test("no waveform is null, not an error", async () => {
  answering(null, "a proxy's page");
  assert.equal(await loadWaveform("/w/"), null);
  assert.equal(await loadWaveform("/w/"), null);
  globalThis.fetch = () => Promise.reject(new TypeError("offline"));
  assert.equal(await loadWaveform("/w/"), null);
});

test("20 minutes at full detail become columns in a moment", () => {
  const data = new WaveformData();
  data.append(json(shape(240_000)));
  const filled = new Float32Array(3_000);
  const rounds = 20;
  for (let i = 0; i < rounds; i += 1) data.columns(0, 240_000, filled);
  const before = performance.now();
  for (let i = 0; i < rounds; i += 1) data.columns(0, 240_000, filled);
  const each = (performance.now() - before) / rounds;
  assert.ok(each < 4, `${each} ms`);
});
