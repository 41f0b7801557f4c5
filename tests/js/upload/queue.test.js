import assert from "node:assert/strict";
import { test } from "node:test";

import { formSender } from "../../../denoise_relay/static/denoise_relay/upload/form.js";
import { UploadQueue } from "../../../denoise_relay/static/denoise_relay/upload/queue.js";
import { settle } from "../fakes.js";

const TEXTS = { network: "interrupted", failed: "could not", tooLarge: "too large" };

function uploads() {
  const requests = [];
  const log = { idle: 0, changes: [] };
  const queue = new UploadQueue({
    texts: TEXTS,
    onIdle: () => {
      log.idle += 1;
    },
    onChange: (upload) => log.changes.push(`${upload.file.name} ${upload.state} ${upload.pct}`),
    send: (file, on, fields) => {
      const request = { file, on, fields, aborted: false };
      const answer = new Promise((resolve, reject) => Object.assign(request, { resolve, reject }));
      request.abort = () => {
        request.aborted = true;
        request.reject(new Error("aborted"));
      };
      requests.push(request);
      return { abort: request.abort, answer };
    },
  });
  return { queue, requests, log };
}

const file = (name) => ({ name });
const accepted = (job) => ({ status: 201, body: { job, url: `/jobs/${job}/` } });

test("a file is sent, its percent told, and taken", async () => {
  const { queue, requests, log } = uploads();
  const upload = queue.add(file("a.wav"));
  await settle();
  requests[0].on.progress(40);
  requests[0].on.progress(100);
  requests[0].resolve(accepted("a"));
  await settle();
  assert.deepEqual(log.changes, [
    "a.wav waiting 0",
    "a.wav sending 0",
    "a.wav sending 40",
    "a.wav checking 100",
    "a.wav accepted 100",
  ]);
  assert.equal(upload.answer.url, "/jobs/a/");
  assert.equal(log.idle, 1);
});

test("the first alone, which brings the session; then two at a time, in order", async () => {
  const { queue, requests, log } = uploads();
  const names = () => requests.map((request) => request.file.name).join("");
  for (const name of ["a", "b", "c", "d"]) queue.add(file(name));
  await settle();
  assert.equal(names(), "a");
  requests[0].resolve(accepted("a"));
  await settle();
  assert.equal(names(), "abc");
  requests[2].resolve(accepted("c"));
  await settle();
  assert.equal(names(), "abcd");
  requests[1].resolve(accepted("b"));
  await settle();
  assert.equal(log.idle, 0);
  requests[3].resolve(accepted("d"));
  await settle();
  assert.equal(log.idle, 1);
});

test("a refused first file brings no session: the next is alone, too", async () => {
  const { queue, requests } = uploads();
  for (const name of ["a", "b", "c"]) queue.add(file(name));
  await settle();
  requests[0].resolve({ status: 400, body: null });
  await settle();
  assert.equal(requests.length, 2);
});

test("a refusal has the server's words and no second try", async () => {
  const { queue, requests } = uploads();
  const upload = queue.add(file("a.txt"));
  await settle();
  const errors = [{ code: "unsupported", message: "Use WAV." }];
  requests[0].resolve({ status: 400, body: { errors } });
  await settle();
  assert.deepEqual([upload.state, upload.message, upload.again], ["rejected", "Use WAV.", false]);
});

test("413 of a proxy, 500 without JSON, and a 201 that is none", async () => {
  const cases = [
    [{ status: 413, body: null }, "too large", false],
    [{ status: 500, body: null }, "could not", true],
    [{ status: 201, body: null }, "could not", true],
    [{ status: 400, body: { errors: [{ message: 7 }] } }, "could not", true],
    [{ status: 503, body: { errors: [{ message: "Busy." }] } }, "Busy.", true],
  ];
  for (const [answer, message, again] of cases) {
    const { queue, requests } = uploads();
    const upload = queue.add(file("a"));
    await settle();
    requests[0].resolve(answer);
    await settle();
    assert.deepEqual([upload.state, upload.message, upload.again], ["rejected", message, again]);
  }
});

test("a cut line may be tried again", async () => {
  const { queue, requests, log } = uploads();
  const upload = queue.add(file("a"));
  await settle();
  requests[0].on.progress(70);
  requests[0].reject(new Error("network"));
  await settle();
  assert.deepEqual([upload.state, upload.message], ["rejected", "interrupted"]);
  queue.retry(upload);
  assert.equal(upload.pct, 0);
  requests[1].resolve(accepted("a"));
  await settle();
  assert.equal(upload.state, "accepted");
  assert.equal(log.idle, 2);
});

test("cancel aborts, frees the place, and a late answer is nobody's", async () => {
  const { queue, requests } = uploads();
  const first = queue.add(file("a"));
  queue.add(file("b"));
  queue.add(file("c"));
  await settle();
  queue.cancel(first);
  await settle();
  assert.ok(requests[0].aborted);
  assert.equal(first.state, "canceled");
  assert.deepEqual(requests.map((r) => r.file.name), ["a", "b"]);
  requests[0].on.progress(80);
  assert.equal(first.state, "canceled");
});

test("cancel of one that waits sends nothing", async () => {
  const { queue, requests } = uploads();
  queue.add(file("a"));
  queue.add(file("b"));
  const third = queue.add(file("c"));
  queue.cancel(third);
  await settle();
  requests[0].resolve(accepted("a"));
  await settle();
  assert.deepEqual(requests.map((r) => r.file.name), ["a", "b"]);
});

test("a file with an objection is never sent", async () => {
  const { queue, requests, log } = uploads();
  const upload = queue.add(file("a.txt"), "No such format.");
  await settle();
  assert.deepEqual([upload.state, upload.message], ["rejected", "No such format."]);
  assert.equal(requests.length, 0);
  assert.equal(log.idle, 1);
});

class FakeRequest {
  upload = {};
  headers = {};
  responseText = "";
  open(method, url) {
    Object.assign(this, { method, url });
  }
  setRequestHeader(name, value) {
    this.headers[name] = value;
  }
  send(body) {
    this.body = body;
  }
  abort() {
    this.onabort();
  }
}

function sending() {
  const request = new FakeRequest();
  const progress = [];
  const send = formSender("/", { csrfmiddlewaretoken: "t" }, () => request);
  const on = { progress: (pct) => progress.push(pct) };
  const { abort, answer } = send(new File(["RIFF"], "süß.wav"), on, { preset: "fast" });
  return { request, progress, abort, answer };
}

test("the request is the form's: token, field name, file name, and asks for JSON", async () => {
  const { request, progress, answer } = sending();
  assert.deepEqual([request.method, request.url, request.headers.Accept], [
    "POST",
    "/",
    "application/json",
  ]);
  assert.equal(request.body.get("csrfmiddlewaretoken"), "t");
  assert.equal(request.body.get("preset"), "fast");
  assert.equal(request.body.get("audio").name, "süß.wav");
  request.upload.onprogress({ lengthComputable: true, loaded: 1, total: 4 });
  request.upload.onprogress({ lengthComputable: false });
  assert.deepEqual(progress, [25]);
  Object.assign(request, { status: 201, responseText: '{"job":"x","url":"/jobs/x/"}' });
  request.onload();
  assert.deepEqual(await answer, { status: 201, body: { job: "x", url: "/jobs/x/" } });
});

test("an answer that is not JSON has no body", async () => {
  const { request, answer } = sending();
  Object.assign(request, { status: 502, responseText: "<html>" });
  request.onload();
  assert.deepEqual(await answer, { status: 502, body: null });
});

test("a broken line and an abort reject", async () => {
  const broken = sending();
  broken.request.onerror();
  await assert.rejects(broken.answer, /network/);
  const aborted = sending();
  aborted.abort();
  await assert.rejects(aborted.answer, /aborted/);
});

test("a file keeps what was chosen when it was added, also when it is tried again", async () => {
  const { queue, requests } = uploads();
  const upload = queue.add(file("a.wav"), "", { preset: "fast" });
  await settle();
  requests[0].reject(new Error("network"));
  await settle();
  queue.retry(upload);
  await settle();
  assert.deepEqual(requests.map((request) => request.fields.preset), ["fast", "fast"]);
});

test("too many are waiting: the server's words, and another try later", async () => {
  const { queue, requests } = uploads();
  const upload = queue.add(file("a.wav"));
  await settle();
  requests[0].resolve({ status: 429, body: { errors: [{ message: "Too many." }] } });
  await settle();
  assert.deepEqual([upload.state, upload.message, upload.again], ["rejected", "Too many.", true]);
});
