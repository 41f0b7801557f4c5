import assert from "node:assert/strict";
import { test } from "node:test";

import { FIRST_PART } from "../../../denoise_relay/static/denoise_relay/upload/part_size.js";
import { settle } from "../fakes.js";
import { BREAK, KIB, MIB, MemoryStorage, file, setup } from "./tus_server.js";

test("a small file goes by the form", async () => {
  const { server, seen, start } = setup();
  await start(file(FIRST_PART)).answer;
  assert.deepEqual([seen.form, server.log], [["talk.wav"], []]);
});

test("a file goes in growing parts and becomes a job", async () => {
  const { server, seen, start, storage } = setup();
  const answer = await start(file(6 * MIB)).answer;
  assert.equal(answer.body.url, "/jobs/j/");
  assert.deepEqual(server.log, [
    "POST /uploads/",
    `PATCH 0+${MIB}`,
    `PATCH ${MIB}+${2 * MIB}`,
    `PATCH ${3 * MIB}+${3 * MIB}`,
    "FORM /",
  ]);
  assert.deepEqual(seen.progress, [17, 50, 100, 100]);
  const [first] = server.requests;
  assert.equal(first.headers["Tus-Resumable"], "1.0.0");
  assert.equal(first.headers["X-CSRFToken"], "t0ken");
  assert.equal(server.requests.at(-1).body.get("upload"), "u1");
  assert.equal(server.requests.at(-1).body.get("csrfmiddlewaretoken"), "t0ken");
  assert.equal(storage.getItem("denoise-relay-uploads"), "{}");
});

test("cancel ends the request and deletes what has arrived", async () => {
  const { network, server, start, storage } = setup();
  server.faults.PATCH = [BREAK];
  const { abort, answer } = start(file(2 * MIB));
  await settle();
  abort();
  await assert.rejects(answer, /aborted/);
  await settle();
  assert.equal(server.uploads.size, 0);
  assert.equal(storage.getItem("denoise-relay-uploads"), "{}");
  assert.equal(network.clock.pending, 0);
});

test("a reloaded page goes on with the same file, and with no other", async () => {
  const storage = new MemoryStorage();
  const before = setup({ storage });
  before.server.hold = true;
  before.start(file(3 * MIB));
  before.server.requests[0].go();
  await settle();
  before.server.requests[1].go();
  await settle();
  const after = setup({ storage });
  after.server.uploads = before.server.uploads;
  await after.start(file(3 * MIB)).answer;
  assert.deepEqual(after.server.log.slice(0, 2), ["HEAD /uploads/u1/", `PATCH ${MIB}+${MIB}`]);
  const other = setup({ storage });
  await other.start(file(3 * MIB, "other.wav")).answer;
  assert.equal(other.server.log[0], "POST /uploads/");
});

test("the same file twice at once is two uploads", async () => {
  const { server, start } = setup();
  const both = [start(file(2 * MIB)).answer];
  await settle();
  both.push(start(file(2 * MIB)).answer);
  await Promise.all(both);
  assert.equal(server.log.filter((line) => line === "POST /uploads/").length, 2);
});

test("no tus on the server: the form", async () => {
  for (const status of [403, 404, 405, 412, 501]) {
    const { server, seen, start } = setup();
    server.faults.POST = [{ status }];
    await start(file(2 * MIB)).answer;
    assert.deepEqual(seen.form, ["talk.wav"]);
  }
});

test("a refusal is told in the server's words, once", async () => {
  const { server, start, storage } = setup();
  const refusal = { status: 400, body: { errors: [{ message: "No sound." }] } };
  server.faults.FORM = [refusal];
  assert.deepEqual((await start(file(2 * MIB)).answer).body, refusal.body);
  assert.equal(storage.getItem("denoise-relay-uploads"), "{}");
  server.faults.POST = [{ status: 429, body: refusal.body }];
  assert.equal((await start(file(2 * MIB)).answer).status, 429);
});

test("what was chosen goes with the request that makes the job, in both ways", async () => {
  const { server, seen, start } = setup();
  await start(file(2 * MIB), { preset: "fast" }).answer;
  const finish = server.requests.find((request) => request.url === "/");
  assert.equal(finish.body.get("preset"), "fast");
  start(file(100 * KIB), { preset: "best" });
  assert.deepEqual(seen.fields, { preset: "best" });
});

test("without tus, the form gets what was chosen", async () => {
  const { server, seen, start } = setup();
  server.faults.POST = [{ status: 404 }];
  await start(file(2 * MIB), { preset: "fast" }).answer;
  assert.deepEqual(seen.fields, { preset: "fast" });
});
