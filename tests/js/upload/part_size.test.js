import assert from "node:assert/strict";
import { test } from "node:test";

import { nextPart } from "../../../denoise_relay/static/denoise_relay/upload/part_size.js";
import { KIB, MIB } from "./tus_server.js";

test("parts grow on a quick line, shrink on a slow one, and stay within bounds", () => {
  assert.equal(nextPart(MIB, 100, 8 * MIB), 2 * MIB);
  assert.equal(nextPart(8 * MIB, 100, 8 * MIB), 8 * MIB);
  assert.equal(nextPart(MIB, 10_000, 8 * MIB), MIB);
  assert.equal(nextPart(MIB, 60_000, 8 * MIB), MIB / 2);
  assert.equal(nextPart(256 * KIB, 60_000, 8 * MIB), 256 * KIB);
  assert.equal(nextPart(64 * KIB, 60_000, 64 * KIB), 64 * KIB);
});
