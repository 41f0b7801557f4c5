import assert from "node:assert/strict";
import { test } from "node:test";

import { ResumeStore } from "../../../denoise_relay/static/denoise_relay/upload/resume_store.js";
import { MemoryStorage, file } from "./tus_server.js";

test("memory that is forbidden, full, odd or old remembers nothing", () => {
  const sent = file(1);
  const forbidden = new ResumeStore(null);
  forbidden.keep(sent, "/u/", 9e15);
  assert.equal(forbidden.find(sent), "");
  for (const text of ["nonsense", "null", "[1]", '{"a": 1}']) {
    const storage = new MemoryStorage();
    storage.setItem("denoise-relay-uploads", text);
    const odd = new ResumeStore(storage, () => 0);
    assert.equal(odd.find(sent), "");
    odd.keep(sent, "/u/", 10);
    assert.equal(odd.find(sent), "/u/");
    assert.equal(new ResumeStore(storage, () => 10).find(sent), "");
  }
});

test("memory is bounded, and does not hold names", () => {
  const storage = new MemoryStorage();
  const uploads = new ResumeStore(storage, () => 0);
  for (let i = 0; i < 50; i += 1) uploads.keep(file(1, `secret-${i}.wav`), `/u${i}/`, i + 1);
  const kept = storage.getItem("denoise-relay-uploads");
  assert.equal(Object.keys(JSON.parse(kept)).length, 20);
  assert.ok(!kept.includes("secret"));
  assert.equal(uploads.find(file(1, "secret-49.wav")), "/u49/");
});
