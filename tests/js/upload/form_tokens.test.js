import assert from "node:assert/strict";
import { test } from "node:test";

import { numbered } from "../../../denoise_relay/static/denoise_relay/upload/form_tokens.js";

test("each file has a token of its own, made from the page's", () => {
  const next = numbered("abc");
  assert.deepEqual([next(), next()], ["abc-1", "abc-2"]);
});

test("a page without a token has none to give", () => {
  assert.equal(numbered("")(), "");
});
