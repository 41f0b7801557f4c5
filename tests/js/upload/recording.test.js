import assert from "node:assert/strict";
import { test } from "node:test";

import { mayBeRecording } from "../../../denoise_relay/static/denoise_relay/upload/recording.js";

const KNOWN = ["amr", "mp3", "ts"];

for (const [name, type, expected] of [
  ["voice.AMR", "", true],
  ["voice.mp3", "audio/mpeg", true],
  ["voice", "", true],
  ["voice.unknown", "audio/x-unknown", true],
  ["voice.bin", "application/octet-stream", true],
  ["film", "application/mp4", true],
  // Some systems take MPEG transport streams for TypeScript.
  ["film.ts", "text/vnd.trolltech.linguist", true],
  ["notes.txt", "text/plain", false],
  ["notes.pdf", "application/pdf", false],
  ["cat.jpeg", "image/jpeg", false],
]) {
  test(`${name} of type "${type}" ${expected ? "may be" : "is no"} recording`, () => {
    assert.equal(mayBeRecording({ name, type }, KNOWN), expected);
  });
}
