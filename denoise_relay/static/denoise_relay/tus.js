/**
 * Sends a file in parts (tus 1.0), so that a broken line costs one part and not the whole.
 * A `send` for `UploadQueue`, as `sender` of `queue.js`, which it leaves small files to.
 */

import { browser } from "./browser.js";
import { RememberedUploads } from "./remembered.js";

const MIB = 1024 * 1024;
/** What a part is at first, and what a form may be: the most that nginx lets through unasked. */
export const FIRST_PART = MIB;
const SMALLEST_PART = MIB / 4;
/** A part that takes less may grow, one that takes more should shrink: it may be lost. */
const QUICK_MS = 4_000;
const SLOW_MS = 20_000;
/** No byte left for so long: the line is dead, whatever the browser believes. */
const STALL_MS = 45_000;
/** For an answer; looking into a recording takes a while. */
const ANSWER_MS = 150_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** In a row, while online, before a person is asked to try again: about two minutes. */
const TRIES = 8;
const REMEMBER_MS = 3_600_000;

/** A step that may succeed later: with nothing lost but this step. */
class Interrupted extends Error {
  /** @param {{status: number, body: any}|null} answer what the server said, if it did */
  constructor(answer = null, afterMs = 0) {
    super("interrupted");
    this.answer = answer;
    this.afterMs = afterMs;
  }
}

/**
 * How large the next part is, after one of `size` bytes took `tookMs`.
 * @param {number} largest what the server, or something in between, takes
 */
export function nextPart(size, tookMs, largest) {
  const factor = tookMs < QUICK_MS ? 2 : tookMs > SLOW_MS ? 0.5 : 1;
  return Math.max(Math.min(size * factor, largest), Math.min(SMALLEST_PART, largest));
}

/**
 * How long to wait after so many failures in a row: doubling, with jitter.
 * @param {number} chance in [0, 1)
 */
export function pauseMs(failures, chance) {
  const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1));
  return longest * (0.5 + chance / 2);
}

/** `Upload-Metadata`, whose values are Base64 of UTF-8. */
export function metadata(file) {
  const encode = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  return `filename ${encode(file.name.slice(-500))},filetype ${encode(file.type ?? "")}`;
}

/**
 * @param {object} options
 * @param {string} options.url where uploads are announced
 * @param {string} options.page where a whole one becomes a job
 * @param {string} options.token against forged requests
 * @param {number} options.largestPart bytes
 * @param {Function} options.form the sender for small files, and where there is no tus
 * @returns {(file: File, on: {progress: (pct: number) => void, paused?: () => void}) =>
 *   {abort: () => void, answer: Promise<{status: number, body: any}>}}
 */
export function resumable({
  url,
  page,
  token,
  largestPart,
  form,
  remembered = new RememberedUploads(storage()),
  environment = browser(),
  open = () => new XMLHttpRequest(),
  now = Date.now,
}) {
  const options = { url, page, token, largestPart, form, remembered, environment, open, now };
  // A file that is chosen twice is sent twice: two senders of one upload get in each other's way.
  const busy = new Set();
  return (file, on) => {
    if (file.size <= FIRST_PART) return form(file, on);
    const transfer = new Transfer(file, on, busy, options);
    return { abort: () => transfer.abort(), answer: transfer.run() };
  };
}

class Transfer {
  #file;
  #on;
  #busy;
  #options;
  #url = "";
  /** Null: the server must be asked. */
  #offset = null;
  /** Only what gets beyond this is progress: the same part may fail for ever. */
  #furthest = 0;
  #part;
  #largest;
  #restarts = 0;
  #aborted = false;
  /** Ends what is being waited for. */
  #cut = () => {};

  constructor(file, on, busy, options) {
    this.#file = file;
    this.#on = on;
    this.#busy = busy;
    this.#options = options;
    this.#largest = options.largestPart > 0 ? options.largestPart : FIRST_PART;
    this.#part = Math.min(FIRST_PART, this.#largest);
  }

  abort() {
    this.#aborted = true;
    this.#cut();
    if (!this.#url) return;
    // Nobody waits for it; what is not deleted now expires.
    this.#request("DELETE", this.#url).catch(() => {});
    this.#forget();
  }

  /** @returns {Promise<{status: number, body: any}>} rejects when the line stays dead */
  async run() {
    const known = this.#options.remembered.find(this.#file);
    if (known && !this.#busy.has(known)) this.#take(known);
    let failures = 0;
    let breaks = 0;
    try {
      for (;;) {
        try {
          const answer = await this.#step();
          if (this.#aborted) throw new Error("aborted");
          if (answer) return answer;
          if (this.#offset > this.#furthest) {
            this.#furthest = this.#offset;
            failures = breaks = 0;
          }
        } catch (error) {
          if (this.#aborted || !(error instanceof Interrupted)) throw error;
          // Without a network there is nothing to count: it goes on when there is one.
          if (this.#options.environment.online()) failures += 1;
          breaks += 1;
          if (failures > TRIES) {
            if (error.answer) return error.answer;
            throw error;
          }
          this.#offset = null;
          await this.#pause(breaks, error.afterMs);
        }
      }
    } finally {
      this.#busy.delete(this.#url);
    }
  }

  /** One request; its answer when that ends it. */
  #step() {
    if (!this.#url) return this.#create();
    if (this.#offset === null) return this.#ask();
    return this.#offset < this.#file.size ? this.#send() : this.#finish();
  }

  async #create() {
    const { url, form, now } = this.#options;
    const answer = await this.#request("POST", url, {
      headers: { "Upload-Length": String(this.#file.size), "Upload-Metadata": metadata(this.#file) },
    });
    const location = answer.header("Location");
    if (answer.status === 201 && location) {
      this.#take(location);
      this.#offset = 0;
      const expires = Date.parse(answer.header("Upload-Expires") ?? "") || now() + REMEMBER_MS;
      this.#options.remembered.keep(this.#file, location, expires);
      return null;
    }
    // No tus here, or something in between that forbids it: the form gets through, or tells why.
    if ([403, 404, 405, 412, 501].includes(answer.status)) {
      const whole = form(this.#file, this.#on);
      this.#cut = whole.abort;
      return whole.answer;
    }
    return this.#unless(answer);
  }

  async #ask() {
    const answer = await this.#request("HEAD", this.#url);
    const length = Number(answer.header("Upload-Length") ?? NaN);
    const offset = Number(answer.header("Upload-Offset") ?? NaN);
    if (answer.status === 200 && length === this.#file.size && offset >= 0 && offset <= length) {
      this.#offset = offset;
      this.#tell(0);
      return null;
    }
    if (answer.status === 200 || [403, 404, 410].includes(answer.status)) return this.#anew(answer);
    return this.#unless(answer);
  }

  async #send() {
    const begun = this.#options.now();
    const part = this.#file.slice(this.#offset, this.#offset + this.#part);
    const answer = await this.#request("PATCH", this.#url, {
      headers: {
        "Content-Type": "application/offset+octet-stream",
        "Upload-Offset": String(this.#offset),
      },
      body: part,
      sent: (bytes) => this.#tell(Math.min(bytes, part.size)),
    });
    const offset = Number(answer.header("Upload-Offset") ?? NaN);
    if (answer.status === 204 && offset > this.#offset && offset <= this.#file.size) {
      this.#offset = offset;
      this.#part = nextPart(this.#part, this.#options.now() - begun, this.#largest);
      return null;
    }
    if (answer.status === 413 && this.#part > SMALLEST_PART) {
      // A proxy's limit is lower than the server's.
      this.#largest = this.#part = Math.max(SMALLEST_PART, Math.floor(this.#part / 2));
      return null;
    }
    if (answer.status === 404 || answer.status === 410) return this.#anew(answer);
    if (answer.status === 204 || answer.status === 409) throw new Interrupted(answer);
    return this.#unless(answer);
  }

  async #finish() {
    this.#on.progress(100);
    const body = new FormData();
    body.append("csrfmiddlewaretoken", this.#options.token);
    body.append("upload", this.#url.split("/").filter(Boolean).at(-1));
    const answer = await this.#request("POST", this.#options.page, { body });
    if (answer.status === 404) return this.#anew(answer);
    if (answer.status === 409) throw new Interrupted(answer);
    const verdict = this.#unless(answer);
    this.#forget();
    return verdict;
  }

  /** The upload is gone, expired perhaps: from the start, but not for ever. */
  #anew(answer) {
    this.#forget();
    this.#restarts += 1;
    return this.#restarts > 2 ? answer : null;
  }

  /** The answer, unless it is one that passes. */
  #unless(answer) {
    if (answer.status === 423 || (answer.status >= 500 && answer.status !== 507)) {
      throw new Interrupted(answer, 1000 * (Number(answer.header("Retry-After")) || 0));
    }
    return answer;
  }

  #take(url) {
    this.#url = url;
    this.#busy.add(url);
  }

  #forget() {
    this.#options.remembered.forget(this.#file, this.#url);
    this.#busy.delete(this.#url);
    this.#url = "";
    this.#offset = null;
  }

  #tell(bytes) {
    this.#on.progress((((this.#offset ?? 0) + bytes) / this.#file.size) * 100);
  }

  /** Wait, but no longer than until the network is back. */
  async #pause(breaks, afterMs) {
    this.#part = Math.max(Math.min(SMALLEST_PART, this.#largest), Math.floor(this.#part / 2));
    this.#on.paused?.();
    const { environment } = this.#options;
    const least = Math.min(afterMs, LONGEST_PAUSE_MS);
    const ms = Math.max(least, pauseMs(breaks, environment.random()));
    let timer;
    let stop = () => {};
    try {
      await new Promise((resolve) => {
        timer = environment.setTimeout(resolve, ms);
        stop = environment.listen({ online: resolve });
        this.#cut = resolve;
      });
    } finally {
      environment.clearTimeout(timer);
      stop();
    }
    if (this.#aborted) throw new Error("aborted");
  }

  /** Rejects with `Interrupted` when the line breaks or nothing moves any more. */
  #request(method, url, { headers = {}, body = null, sent = () => {} } = {}) {
    const { environment, open, token } = this.#options;
    const request = open();
    let timer = null;
    const within = (ms) => {
      environment.clearTimeout(timer);
      timer = environment.setTimeout(() => request.abort(), ms);
    };
    const answer = new Promise((resolve, reject) => {
      request.upload.onprogress = (event) => {
        within(STALL_MS);
        sent(event.loaded);
      };
      request.upload.onload = () => within(ANSWER_MS);
      request.onload = () => {
        const header = (name) => request.getResponseHeader(name);
        resolve({ status: request.status, body: parsed(request.responseText), header });
      };
      for (const event of ["onerror", "onabort"]) request[event] = () => reject(new Interrupted());
    }).finally(() => environment.clearTimeout(timer));
    request.open(method, url);
    const common = { Accept: "application/json", "Tus-Resumable": "1.0.0", "X-CSRFToken": token };
    for (const [name, value] of Object.entries({ ...common, ...headers })) {
      request.setRequestHeader(name, value);
    }
    within(body ? STALL_MS : ANSWER_MS);
    request.send(body);
    if (method !== "DELETE") this.#cut = () => request.abort();
    return answer;
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // a proxy's error page, or nothing
  }
}

/** Where browsers forbid it, reading the property throws. */
function storage() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
