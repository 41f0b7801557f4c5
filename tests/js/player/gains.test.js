import assert from "node:assert/strict";
import { test } from "node:test";

import {
  canMatch,
  gainsOf,
  UNKNOWN_LEVELS,
} from "../../../denoise_relay/static/denoise_relay/player/gains.js";

const LOUD_NOISE = { original: -16, denoised: -23.3, removedGain: 1 };
const decibels = (gain) => 20 * Math.log10(gain);
const near = (actual, expected, within = 1e-9) =>
  assert.ok(Math.abs(actual - expected) <= within, `${actual} is not ${expected} ± ${within}`);

test("each side is a sum of both recordings", () => {
  const of = (side, mix = 0) => gainsOf(side, mix, false, LOUD_NOISE);
  assert.deepEqual(of("original"), { original: 1, denoised: 0 });
  assert.deepEqual(of("denoised"), { original: 0, denoised: 1 });
  assert.deepEqual(of("removed"), { original: 1, denoised: -1 });
  assert.deepEqual(of("mix", 0.25), { original: 0.75, denoised: 0.25 });
});

test("what was removed is measured by the clean recording as it was before it was made louder", () => {
  const levels = { ...LOUD_NOISE, removedGain: 0.4 };
  assert.deepEqual(gainsOf("removed", 0, true, levels), { original: 1, denoised: -0.4 });
});

test("the louder recording is turned down, whichever it is", () => {
  near(decibels(gainsOf("original", 0, true, LOUD_NOISE).original), -7.3);
  assert.equal(gainsOf("denoised", 0, true, LOUD_NOISE).denoised, 1);
  const louder = { original: -30, denoised: -16, removedGain: 0.2 };
  assert.equal(gainsOf("original", 0, true, louder).original, 1);
  near(decibels(gainsOf("denoised", 0, true, louder).denoised), -14);
});

test("a mix is as loud as both ends, and is so at the ends", () => {
  for (const [mix, side] of [[0, "original"], [1, "denoised"]]) {
    const ends = gainsOf(side, 0, true, LOUD_NOISE);
    const found = gainsOf("mix", mix, true, LOUD_NOISE);
    near(found.original, ends.original);
    near(found.denoised, ends.denoised);
  }
  // Voice of power 1, noise of power 3, which do not follow each other.
  const levels = { original: 10 * Math.log10(4), denoised: 0, removedGain: 1 };
  for (const mix of [0.1, 0.5, 0.8]) {
    const { original, denoised } = gainsOf("mix", mix, true, levels);
    near((original + denoised) ** 2 + 3 * original ** 2, 1);
    near(denoised / (original + denoised), mix);
  }
});

test("nothing is ever turned up", () => {
  for (const [original, denoised] of [[-10, -40], [-40, -10], [-20, -20]]) {
    for (const mix of [0, 0.3, 0.7, 1]) {
      const gains = gainsOf("mix", mix, true, { original, denoised, removedGain: 1 });
      assert.ok(gains.original + gains.denoised <= 1 + 1e-9);
    }
  }
});

test("what has no loudness stays as it is", () => {
  assert.ok(canMatch(LOUD_NOISE));
  assert.ok(!canMatch(UNKNOWN_LEVELS));
  assert.ok(!canMatch({ ...LOUD_NOISE, denoised: null }));
  const silent = { ...LOUD_NOISE, denoised: null };
  assert.deepEqual(gainsOf("original", 0, true, silent), { original: 1, denoised: 0 });
});
