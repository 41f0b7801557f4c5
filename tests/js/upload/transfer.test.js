import assert from "node:assert/strict";
import { test } from "node:test";

import { ResumeStore } from "../../../denoise_relay/static/denoise_relay/upload/resume_store.js";
import { BREAK, KIB, MIB, file, pass, setup } from "./tus_server.js";

test("a broken line goes on where the server stands, with a smaller part", async () => {
  const { network, server, seen, start } = setup();
  server.faults.PATCH = [undefined, { breaks: true, kept: 512 * KIB }];
  const { answer } = start(file(4 * MIB));
  await pass(network, 2_000);
  assert.equal((await answer).status, 201);
  assert.deepEqual(server.log.slice(2, 6), [
    `PATCH ${MIB}+${2 * MIB}`,
    "HEAD /uploads/u1/",
    `PATCH ${1.5 * MIB}+${MIB}`,
    `PATCH ${2.5 * MIB}+${1.5 * MIB}`,
  ]);
  assert.equal(seen.paused, 1);
});

test("a lost answer is not a lost part, nor a second job", async () => {
  const { network, server, start } = setup();
  server.faults.PATCH = [{ breaks: true, kept: MIB }];
  server.faults.FORM = [BREAK, { status: 423 }];
  const { answer } = start(file(2 * MIB));
  await pass(network, 10_000);
  assert.equal((await answer).status, 201);
  assert.equal(server.log.filter((line) => line === "FORM /").length, 3);
  assert.equal(server.log.filter((line) => line === "POST /uploads/").length, 1);
});

test("a line that stays dead ends in an error, after bounded tries; trying again resumes", async () => {
  const { network, server, start } = setup();
  const sent = file(4 * MIB);
  server.faults.PATCH = [undefined, ...Array(20).fill(BREAK)];
  const failed = assert.rejects(start(sent).answer, /interrupted/);
  await pass(network, 300_000);
  await failed;
  const tries = server.log.filter((line) => line.startsWith("PATCH")).length;
  assert.ok(tries > 5 && tries < 12, `${tries} tries`);
  server.faults.PATCH = [];
  server.log.length = 0;
  assert.equal((await start(sent).answer).status, 201);
  assert.deepEqual(server.log.slice(0, 2), ["HEAD /uploads/u1/", `PATCH ${MIB}+${MIB}`]);
});

test("a server that keeps failing has the last word", async () => {
  const { network, server, start } = setup();
  server.faults.POST = Array(20).fill({ status: 503 });
  const { answer } = start(file(2 * MIB));
  await pass(network, 300_000);
  assert.equal((await answer).status, 503);
});

test("without a network it waits, however long, and goes on at once when there is one", async () => {
  const { network, server, start } = setup();
  server.faults.PATCH = Array(40).fill(BREAK);
  network.isOnline = false;
  network.chance = 0.8;
  const { answer } = start(file(2 * MIB));
  await pass(network, 600_000);
  const tries = server.log.filter((line) => line.startsWith("PATCH")).length;
  assert.ok(tries > 8 && tries < 40, `${tries} tries`);
  for (let i = 0; i < 200 && !network.listening; i += 1) await pass(network, 250);
  assert.ok(network.listening);
  server.faults.PATCH = [];
  network.isOnline = true;
  const { now } = network.clock;
  network.emit("online");
  assert.equal((await answer).status, 201);
  assert.equal(network.clock.now, now);
  assert.equal(network.clock.pending, 0);
  assert.equal(network.listening, false);
});

test("nothing moves: the request is ended, and tried again", async () => {
  const { network, server, start } = setup();
  server.hold = true;
  const { answer } = start(file(2 * MIB));
  await pass(network, 140_000);
  assert.equal(server.requests.length, 1);
  server.hold = false;
  await pass(network, 20_000);
  assert.ok(server.requests[0].aborted);
  assert.equal((await answer).status, 201);
});

test("an upload that has expired starts anew, but not for ever", async () => {
  const { server, start } = setup();
  server.faults.FORM = [{ status: 404 }];
  assert.equal((await start(file(2 * MIB)).answer).status, 201);
  assert.equal(server.uploads.size, 2);
  server.faults.FORM = Array(9).fill({ status: 404 });
  assert.equal((await start(file(2 * MIB)).answer).status, 404);
  assert.equal(server.uploads.size, 5);
});

test("an upload of another length is not this file's", async () => {
  const { server, start, storage } = setup();
  const sent = file(2 * MIB);
  new ResumeStore(storage, () => 0).keep(sent, "/uploads/x/", 9e9);
  server.uploads.set("/uploads/x/", { offset: 0, length: 7 });
  await start(sent).answer;
  assert.deepEqual(server.log.slice(0, 2), ["HEAD /uploads/x/", "POST /uploads/"]);
});

test("a proxy with a lower limit gets smaller parts", async () => {
  const { server, start } = setup();
  server.faults.PATCH = [{ status: 413 }, undefined, undefined, { status: 413 }];
  assert.equal((await start(file(3 * MIB)).answer).status, 201);
  const parts = server.log.filter((line) => line.startsWith("PATCH"));
  assert.ok(parts[1].endsWith(`+${MIB / 2}`), parts[1]);
  assert.ok(parts.at(-2).endsWith(`+${MIB / 4}`), parts.join());
});

test("too many are waiting: the next try need not send the file again", async () => {
  const { server, start } = setup();
  const sent = file(2 * MIB);
  server.faults.FORM = [{ status: 429 }];
  assert.equal((await start(sent).answer).status, 429);
  server.log.length = 0;
  assert.equal((await start(sent).answer).status, 201);
  assert.deepEqual(server.log, ["HEAD /uploads/u1/", "FORM /"]);
});
