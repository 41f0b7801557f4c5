import assert from "node:assert/strict";
import { test } from "node:test";

import { clock, fill, percentText } from "../../denoise_relay/static/denoise_relay/format.js";

test("fill puts values into places, once", () => {
  assert.equal(fill("{a} of {b}", { a: "1", b: "2" }), "1 of 2");
  assert.equal(fill("{a}", { a: "{b}", b: "x" }), "{b}", "a value is never a pattern");
  assert.equal(fill("{unknown} $& {a}", { a: "$&" }), "{unknown} $& $&");
});

test("clock", () => {
  const cases = [
    [0, "0:00"],
    [5.9, "0:05"],
    [65, "1:05"],
    [600, "10:00"],
    [3661, "1:01:01"],
    [-3, "0:00"],
    [Number.NaN, "0:00"],
    [Infinity, "0:00"],
  ];
  for (const [seconds, text] of cases) assert.equal(clock(seconds), text);
});

test("percent in the language of the page, never rounded up to the end", () => {
  assert.equal(percentText(62.4, "en"), "62%");
  assert.equal(percentText(99.9, "en"), "99%");
  assert.equal(percentText(62, "de"), "62\u00a0%");
  assert.notEqual(percentText(62, "ar-EG"), "62%");
});
