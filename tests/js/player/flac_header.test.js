import assert from "node:assert/strict";
import { test } from "node:test";

import { parseChannels } from "../../../denoise_relay/static/denoise_relay/player/flac_header.js";

/** The first bytes of a FLAC of 48 kHz and 16 bits. */
function header(channels) {
  const bytes = new Uint8Array(22);
  bytes.set([0x66, 0x4c, 0x61, 0x43, 0, 0, 0, 34, 0x12, 0, 0x12, 0]);
  bytes.set([0x0b, 0xb8, ((channels - 1) << 1) | 0, 0xf0], 18);
  return bytes;
}

test("the number of channels", () => {
  for (const channels of [1, 2, 4, 8]) assert.equal(parseChannels(header(channels)), channels);
});

test("anything else is refused", () => {
  assert.throws(() => parseChannels(header(2).subarray(0, 21)));
  assert.throws(() => parseChannels(new Uint8Array(22)));
});
