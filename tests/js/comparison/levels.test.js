import assert from "node:assert/strict";
import { test } from "node:test";

import {
  matchingGains,
  measure,
  RATE,
} from "../../../denoise_relay/static/denoise_relay/comparison/levels.js";

const noPause = () => Promise.resolve();

function sine(frequency, amplitude, seconds) {
  return Float32Array.from({ length: seconds * RATE }, (_, i) =>
    amplitude * Math.sin((2 * Math.PI * frequency * i) / RATE),
  );
}

/** Noise that is the same in every run. */
function noise(amplitude, seconds, seed = 1) {
  let state = seed;
  return Float32Array.from({ length: seconds * RATE }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return amplitude * (state / 2 ** 31 - 1);
  });
}

function joined(...parts) {
  const whole = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const scaled = (samples, gain) => samples.map((it) => it * gain);
const decibels = (db) => 10 ** (db / 20);
const near = (actual, expected, within) =>
  assert.ok(Math.abs(actual - expected) <= within, `${actual} is not ${expected} ± ${within}`);

async function loudness(...channels) {
  return (await measure(channels, noPause)).loudness;
}

test("a stereo sine of 1 kHz at -23 dBFS is -23 LUFS (EBU Tech 3341, case 1)", async () => {
  const side = sine(1000, decibels(-23), 20);
  near(await loudness(side, side), -23, 0.1);
});

test("quiet parts do not count (EBU Tech 3341, case 3)", async () => {
  const side = joined(
    sine(1000, decibels(-36), 10),
    sine(1000, decibels(-23), 60),
    sine(1000, decibels(-36), 10),
  );
  near(await loudness(side, side), -23, 0.1);
});

test("rumble counts little", async () => {
  const voice = sine(1000, 0.1, 4);
  const rumble = sine(25, 0.1, 4);
  const both = voice.map((it, i) => it + rumble[i]);
  // 3 dB as RMS.
  near(await loudness(both), await loudness(voice), 0.4);
});

test("mono is as loud as the same in both ears", async () => {
  const side = noise(0.1, 3);
  near(await loudness(side), await loudness(side, side), 1e-9);
});

test("silence has no loudness; very quiet and very short recordings have", async () => {
  assert.equal(await loudness(new Float32Array(RATE)), -Infinity);
  assert.equal(await loudness(new Float32Array(0)), -Infinity);
  near(await loudness(sine(1000, decibels(-90), 2)), -90, 0.2);
  near(await loudness(sine(1000, decibels(-23), 0.2)), -23, 0.3);
});

test("the gains make both equally loud to within 0.1 dB, and only turn down", async () => {
  const loud = joined(noise(0.5, 2), noise(0.001, 3), noise(0.4, 2, 7));
  const quiet = scaled(joined(noise(0.3, 2, 3), new Float32Array(3 * RATE), noise(0.3, 2, 5)), 0.37);
  const levels = { a: await measure([loud], noPause), b: await measure([quiet], noPause) };
  const gains = matchingGains(levels);
  assert.equal(gains.b, 1);
  assert.ok(gains.a < 1);
  near(await loudness(scaled(loud, gains.a)), await loudness(scaled(quiet, gains.b)), 0.1);
});

test("X gets the gain of its twin", () => {
  const a = { loudness: -20, peak: 0.5 };
  const b = { loudness: -26, peak: 0.5 };
  const gains = matchingGains({ a, b, x: { ...a } });
  assert.equal(gains.x, gains.a);
  near(gains.a, decibels(-6), 1e-9);
});

test("a quiet original is turned up as far as its peak allows", () => {
  const results = { a: { loudness: -23, peak: 0.5 }, b: { loudness: -23, peak: 0.5 } };
  near(matchingGains({ ...results, o: { loudness: -35, peak: 0.1 } }).o, decibels(12), 1e-9);
  near(matchingGains({ ...results, o: { loudness: -35, peak: 0.5 } }).o, 2, 1e-9);
  assert.equal(matchingGains({ ...results, o: { loudness: -35, peak: 1.2 } }).o, 1);
  near(matchingGains({ ...results, o: { loudness: -13, peak: 1 } }).o, decibels(-10), 1e-9);
});

test("silence is left as it is, and does not silence the other", () => {
  const gains = matchingGains({
    a: { loudness: -Infinity, peak: 0 },
    b: { loudness: -20, peak: 0.3 },
    o: { loudness: -30, peak: 0.3 },
  });
  assert.deepEqual(gains, { a: 1, b: 1, o: 1 });
});
