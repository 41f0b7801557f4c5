/** A tus server in memory, and what a test needs to send files to it. */

import { ResumeStore } from "../../../denoise_relay/static/denoise_relay/upload/resume_store.js";
import { resumable } from "../../../denoise_relay/static/denoise_relay/upload/tus.js";
import { Network } from "../fakes.js";

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const BREAK = { breaks: true };

/** A file whose slices are what they are of: nothing is really read. */
export function file(size, name = "talk.wav") {
  const slice = (from, to) => ({ from, size: Math.min(to, size) - from });
  return { name, size, lastModified: 5, type: "audio/wav", slice };
}

export class MemoryStorage {
  items = new Map();
  getItem(key) {
    return this.items.get(key) ?? null;
  }
  setItem(key, value) {
    this.items.set(key, value);
  }
}

/** A tus server in a few lines; `faults` are taken one by one before it looks at a request. */
export class Server {
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

export class FakeRequest {
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

export function setup({ largestPart = 4 * MIB, storage = new MemoryStorage() } = {}) {
  const network = new Network();
  const server = new Server();
  const seen = { progress: [], paused: 0, form: [] };
  const form = (sent, _on, fields) => {
    seen.form.push(sent.name);
    seen.fields = fields;
    return { abort: () => seen.form.push("aborted"), answer: Promise.resolve({ status: 201 }) };
  };
  const send = resumable({
    url: "/uploads/",
    page: "/",
    token: "t0ken",
    largestPart,
    form,
    resumeStore: new ResumeStore(storage, () => network.clock.now),
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
  return { network, server, seen, storage, start: (sent, fields = {}) => send(sent, on, fields) };
}

/** In small steps: a conversation takes more turns than the clock lets settle at once. */
export async function pass(network, ms) {
  for (let passed = 0; passed < ms; passed += 250) await network.clock.pass(250);
}
