import assert from "node:assert/strict";
import { test } from "node:test";

import { backoff } from "../../denoise_relay/static/denoise_relay/backoff.js";

test("backs off exponentially with full jitter, capped", () => {
  const most = [0, 1, 2, 3, 4, 5, 6, 40].map((n) => backoff(n, () => 1));
  assert.deepEqual(most, [1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
  assert.equal(backoff(5, () => 0), 0);
  assert.equal(backoff(2, () => 0.25), 1000);
});

test("waits double up to half a minute, each with jitter", () => {
  assert.deepEqual([0, 1, 2, 8].map((n) => backoff(n, () => 0.5)), [500, 1000, 2000, 15_000]);
  assert.ok(backoff(8, () => 0.999) <= 30_000);
});
