import assert from "node:assert/strict";
import { test } from "node:test";

import {
  levelsOf,
  loadStatistics,
  WAITS_MS,
} from "../../../denoise_relay/static/denoise_relay/player/statistics.js";
import { Clock } from "../fakes.js";

const FOUND = { before: { loudness_lufs: -20 }, after: { loudness_lufs: -22 }, removed_gain: 0.5 };

function ask(answers, { wanted = () => true } = {}) {
  const clock = new Clock();
  const asked = [];
  const fetchJson = async () => {
    asked.push(clock.now);
    const answer = answers[Math.min(asked.length, answers.length) - 1];
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const environment = { setTimeout: clock.setTimeout, fetchJson };
  const result = loadStatistics("/statistics/", { waits: WAITS_MS, wanted, environment });
  return { clock, asked, result };
}

test("what is there is taken at once", async () => {
  const { asked, result } = ask([{ status: 200, body: FOUND }]);
  assert.equal(await result, FOUND);
  assert.deepEqual(asked, [0]);
});

test("what comes later is asked for again, also without a network for a moment", async () => {
  const none = { status: 204, body: null };
  const { clock, asked, result } = ask([none, new Error("offline"), none, { status: 200, body: FOUND }]);
  await clock.pass(60_000);
  assert.equal(await result, FOUND);
  assert.deepEqual(asked, [0, 1000, 3000, 7000]);
});

test("after two minutes it does not come any more", async () => {
  const { clock, asked, result } = ask([{ status: 404, body: null }]);
  await clock.pass(180_000);
  assert.equal(await result, null);
  assert.equal(asked.length, WAITS_MS.length);
  assert.ok(asked.at(-1) >= 110_000 && asked.at(-1) <= 130_000);
});

test("nobody asks for a player that is gone", async () => {
  let wanted = true;
  const { clock, asked, result } = ask([{ status: 204, body: null }], { wanted: () => wanted });
  await clock.pass(1500);
  wanted = false;
  await clock.pass(180_000);
  assert.equal(await result, null);
  assert.equal(asked.length, 2);
});

test("levels of what was measured", () => {
  assert.deepEqual(levelsOf(FOUND), { original: -20, denoised: -22, removedGain: 0.5 });
  const unknown = levelsOf({ before: {}, after: { loudness_lufs: null } });
  assert.deepEqual(unknown, { original: null, denoised: null, removedGain: 1 });
});
