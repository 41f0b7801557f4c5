import assert from "node:assert/strict";
import { test } from "node:test";

import { metadata } from "../../../denoise_relay/static/denoise_relay/upload/tus_request.js";

test("names travel as UTF-8, whatever they are", () => {
  const [name, type] = metadata({ name: "süß, 1.wav", type: "audio/wav" }).split(",");
  assert.equal(Buffer.from(name.split(" ")[1], "base64").toString(), "süß, 1.wav");
  assert.equal(Buffer.from(type.split(" ")[1], "base64").toString(), "audio/wav");
});
