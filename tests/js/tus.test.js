import assert from "node:assert/strict";
import { test } from "node:test";

import { RememberedUploads } from "../../denoise_relay/static/denoise_relay/remembered.js";
import {
  FIRST_PART,
  metadata,
  nextPart,
  pauseMs,
  resumable,
} from "../../denoise_relay/static/denoise_relay/tus.js";
import { Network, settle } from "./fakes.js";

const KIB = 1024;
const MIB = 1024 * KIB;
const BREAK = { breaks: true };

/** A file whose slices are what they are of: nothing is really read. */
function file(size, name = "talk.wav") {
  const slice = (from, to) => ({ from, size: Math.min(to, size) - from });
  return { name, size, lastModified: 5, type: "audio/wav", slice };
}

class MemoryStorage {
  items = new Map();
  getItem(key) {
    return this.items.get(key) ?? null;
  }
  setItem(key, value) {
    this.items.set(key, value);
  }
}

/** A tus server in a few lines; `faults` are taken one by one before it looks at a request. */
class Server {
  uploads = new Map();
  log = [];
  /** What to answer instead, by method: `{status, …}`, or `BREAK`, after `kept` bytes. */
  faults = { POST: [], HEAD: [], PATCH: [], DELETE: [], FORM: [] };
  verdict = { status: 201, body: { job: "j", url: "/jobs/j/" } };
  requests = [];
  hold = false;

  open = () => {
    const request = new FakeRequest(this);
    this.requests.push(request);
    return request;
  };

  answer(request) {
    const { method, url, headers, body } = request;
    const kind = method === "POST" && url === "/" ? "FORM" : method;
    this.log.push(
      kind === "PATCH" ? `PATCH ${headers["Upload-Offset"]}+${body.size}` : `${kind} ${url}`,
    );
    const fault = this.faults[kind].shift();
    const upload = this.uploads.get(url);
    if (fault?.kept) upload.offset += fault.kept;
    if (fault) return fault;
    switch (kind) {
      case "FORM":
        return this.verdict;
      case "POST": {
        const made = `/uploads/u${this.uploads.size + 1}/`;
        this.uploads.set(made, { offset: 0, length: Number(headers["Upload-Length"]) });
        return { status: 201, headers: { Location: made } };
      }
      case "DELETE":
        this.uploads.delete(url);
        return { status: 204 };
    }
    if (!upload) return { status: 404 };
    if (kind === "PATCH") {
      if (Number(headers["Upload-Offset"]) !== upload.offset) return { status: 409 };
      upload.offset += body.size;
    }
    const where = { "Upload-Offset": String(upload.offset), "Upload-Length": String(upload.length) };
    return { status: kind === "PATCH" ? 204 : 200, headers: where };
  }
}

class FakeRequest {
  upload = {};
  headers = {};
  responseText = "";
  constructor(server) {
    this.server = server;
  }
  open(method, url) {
    Object.assign(this, { method, url });
  }
  setRequestHeader(name, value) {
    this.headers[name] = value;
  }
  getResponseHeader(name) {
    return this.answered?.headers?.[name] ?? null;
  }
  send(body) {
    this.body = body;
    if (!this.server.hold) queueMicrotask(() => this.go());
  }
  go() {
    this.answered = this.server.answer(this);
    if (this.method === "PATCH") this.upload.onprogress?.({ loaded: this.body.size });
    if (this.answered.breaks) {
      this.onerror();
      return;
    }
    this.status = this.answered.status;
    this.responseText = JSON.stringify(this.answered.body ?? null);
    this.onload();
  }
  abort() {
    this.aborted = true;
    this.onabort();
  }
}

function setup({ largestPart = 4 * MIB, storage = new MemoryStorage() } = {}) {
  const network = new Network();
  const server = new Server();
  const seen = { progress: [], paused: 0, form: [] };
  const form = (sent) => {
    seen.form.push(sent.name);
    return { abort: () => seen.form.push("aborted"), answer: Promise.resolve({ status: 201 }) };
  };
  const send = resumable({
    url: "/uploads/",
    page: "/",
    token: "t0ken",
    largestPart,
    form,
    remembered: new RememberedUploads(storage, () => network.clock.now),
    environment: network.environment(),
    open: server.open,
    now: () => network.clock.now,
  });
  const on = {
    progress: (pct) => seen.progress.push(Math.round(pct)),
    paused: () => {
      seen.paused += 1;
    },
  };
  return { network, server, seen, storage, start: (sent) => send(sent, on) };
}

/** In small steps: a conversation takes more turns than the clock lets settle at once. */
async function pass(network, ms) {
  for (let passed = 0; passed < ms; passed += 250) await network.clock.pass(250);
}

test("parts grow on a quick line, shrink on a slow one, and stay within bounds", () => {
  assert.equal(nextPart(MIB, 100, 8 * MIB), 2 * MIB);
  assert.equal(nextPart(8 * MIB, 100, 8 * MIB), 8 * MIB);
  assert.equal(nextPart(MIB, 10_000, 8 * MIB), MIB);
  assert.equal(nextPart(MIB, 60_000, 8 * MIB), MIB / 2);
  assert.equal(nextPart(256 * KIB, 60_000, 8 * MIB), 256 * KIB);
  assert.equal(nextPart(64 * KIB, 60_000, 64 * KIB), 64 * KIB);
});

test("pauses double up to half a minute, each with jitter", () => {
  assert.deepEqual([1, 2, 3, 9].map((n) => pauseMs(n, 0)), [500, 1000, 2000, 15_000]);
  assert.ok(pauseMs(9, 0.999) <= 30_000);
});

test("names travel as UTF-8, whatever they are", () => {
  const [name, type] = metadata({ name: "süß, 1.wav", type: "audio/wav" }).split(",");
  assert.equal(Buffer.from(name.split(" ")[1], "base64").toString(), "süß, 1.wav");
  assert.equal(Buffer.from(type.split(" ")[1], "base64").toString(), "audio/wav");
});

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
  new RememberedUploads(storage, () => 0).keep(sent, "/uploads/x/", 9e9);
  server.uploads.set("/uploads/x/", { offset: 0, length: 7 });
  await start(sent).answer;
  assert.deepEqual(server.log.slice(0, 2), ["HEAD /uploads/x/", "POST /uploads/"]);
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

test("a proxy with a lower limit gets smaller parts", async () => {
  const { server, start } = setup();
  server.faults.PATCH = [{ status: 413 }, undefined, undefined, { status: 413 }];
  assert.equal((await start(file(3 * MIB)).answer).status, 201);
  const parts = server.log.filter((line) => line.startsWith("PATCH"));
  assert.ok(parts[1].endsWith(`+${MIB / 2}`), parts[1]);
  assert.ok(parts.at(-2).endsWith(`+${MIB / 4}`), parts.join());
});

test("memory that is forbidden, full, odd or old remembers nothing", () => {
  const sent = file(1);
  const forbidden = new RememberedUploads(null);
  forbidden.keep(sent, "/u/", 9e15);
  assert.equal(forbidden.find(sent), "");
  for (const text of ["nonsense", "null", "[1]", '{"a": 1}']) {
    const storage = new MemoryStorage();
    storage.setItem("denoise-relay-uploads", text);
    const odd = new RememberedUploads(storage, () => 0);
    assert.equal(odd.find(sent), "");
    odd.keep(sent, "/u/", 10);
    assert.equal(odd.find(sent), "/u/");
    assert.equal(new RememberedUploads(storage, () => 10).find(sent), "");
  }
});

test("memory is bounded, and does not hold names", () => {
  const storage = new MemoryStorage();
  const uploads = new RememberedUploads(storage, () => 0);
  for (let i = 0; i < 50; i += 1) uploads.keep(file(1, `secret-${i}.wav`), `/u${i}/`, i + 1);
  const kept = storage.getItem("denoise-relay-uploads");
  assert.equal(Object.keys(JSON.parse(kept)).length, 20);
  assert.ok(!kept.includes("secret"));
  assert.equal(uploads.find(file(1, "secret-49.wav")), "/u49/");
});
