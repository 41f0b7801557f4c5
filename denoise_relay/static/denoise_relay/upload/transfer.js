/** One file sent over tus: create the upload, send the parts, finish, recover from failures. */

import { backoff, CAP_MS } from "../backoff.js";
import { FIRST_PART, nextPart, partAfterBreak, SMALLEST_PART } from "./part_size.js";
import { Interrupted, metadata, tusRequest, unlessTemporary } from "./tus_request.js";

/** @typedef {import("./tus.js").TusOptions} TusOptions */
/** @typedef {import("./tus_request.js").TusAnswer} TusAnswer */
/** @typedef {import("./queue.js").Answer} Answer */

/** Failures in a row, while online, before a person is asked to try again: after a minute on
 * average, two at most. */
const TRIES = 8;
/** How long an upload is remembered where the server does not say how long it keeps it. */
const REMEMBER_MS = 3_600_000;

export class Transfer {
  #file;
  #fields;
  #on;
  #busy;
  #options;
  #url = "";
  /**
   * Bytes that the server has; null: it must be asked.
   * @type {number|null}
   */
  #offset = null;
  /** Only what gets beyond this counts as progress: the same part may fail again and again. */
  #furthest = 0;
  #part;
  #largest;
  #restarts = 0;
  #aborted = false;
  /** Ends what is being waited for. */
  #interrupt = () => {};

  /**
   * @param {{file: File, fields: Record<string, string>}} sent
   * @param {import("./queue.js").Progress} on
   * @param {Set<string>} busy
   * @param {Required<TusOptions>} options
   */
  constructor({ file, fields }, on, busy, options) {
    this.#file = file;
    this.#fields = fields;
    this.#on = on;
    this.#busy = busy;
    this.#options = options;
    this.#largest = options.largestPart > 0 ? options.largestPart : FIRST_PART;
    this.#part = Math.min(FIRST_PART, this.#largest);
  }

  abort() {
    this.#aborted = true;
    this.#interrupt();
    if (!this.#url) return;
    // Nobody waits for it; what is not deleted now expires.
    this.#request("DELETE", this.#url).catch(() => {});
    this.#forget();
  }

  /** @returns {Promise<Answer>} rejects when the line stays dead */
  async run() {
    const known = this.#options.resumeStore.find(this.#file);
    if (known && !this.#busy.has(known)) this.#use(known);
    let failures = 0;
    let breaks = 0;
    try {
      for (;;) {
        try {
          const answer = await this.#step();
          if (this.#aborted) throw new Error("aborted");
          if (answer) return answer;
          if ((this.#offset ?? 0) > this.#furthest) {
            this.#furthest = this.#offset ?? 0;
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

  /**
   * One request; its answer when that ends the upload.
   * @returns {Promise<Answer|null>}
   */
  #step() {
    if (!this.#url) return this.#create();
    if (this.#offset === null) return this.#ask();
    return this.#offset < this.#file.size ? this.#send(this.#offset) : this.#finish();
  }

  async #create() {
    const { url, form, now } = this.#options;
    const answer = await this.#request("POST", url, {
      headers: { "Upload-Length": String(this.#file.size), "Upload-Metadata": metadata(this.#file) },
    });
    const location = answer.header("Location");
    if (answer.status === 201 && location) {
      this.#use(location);
      this.#offset = 0;
      const expires = Date.parse(answer.header("Upload-Expires") ?? "") || now() + REMEMBER_MS;
      this.#options.resumeStore.keep(this.#file, location, expires);
      return null;
    }
    // No tus on this server, or a proxy forbids it: the form works, or its answer says why.
    if ([403, 404, 405, 412, 501].includes(answer.status)) {
      const whole = form(this.#file, this.#on, this.#fields);
      this.#interrupt = whole.abort;
      return whole.answer;
    }
    return unlessTemporary(answer);
  }

  async #ask() {
    const answer = await this.#request("HEAD", this.#url);
    const length = Number(answer.header("Upload-Length") ?? NaN);
    const offset = Number(answer.header("Upload-Offset") ?? NaN);
    if (answer.status === 200 && length === this.#file.size && offset >= 0 && offset <= length) {
      this.#offset = offset;
      this.#showProgress(0);
      return null;
    }
    if (answer.status === 200 || [403, 404, 410].includes(answer.status)) return this.#restart(answer);
    return unlessTemporary(answer);
  }

  /** @param {number} from */
  async #send(from) {
    const begun = this.#options.now();
    const part = this.#file.slice(from, from + this.#part);
    const answer = await this.#request("PATCH", this.#url, {
      headers: {
        "Content-Type": "application/offset+octet-stream",
        "Upload-Offset": String(from),
      },
      body: part,
      sent: (bytes) => this.#showProgress(Math.min(bytes, part.size)),
    });
    const offset = Number(answer.header("Upload-Offset") ?? NaN);
    if (answer.status === 204 && offset > from && offset <= this.#file.size) {
      this.#offset = offset;
      this.#part = nextPart(this.#part, this.#options.now() - begun, this.#largest);
      return null;
    }
    if (answer.status === 413 && this.#part > SMALLEST_PART) {
      // A proxy's limit is lower than the server's.
      this.#largest = this.#part = Math.max(SMALLEST_PART, Math.floor(this.#part / 2));
      return null;
    }
    if (answer.status === 404 || answer.status === 410) return this.#restart(answer);
    if (answer.status === 204 || answer.status === 409) throw new Interrupted(answer);
    return unlessTemporary(answer);
  }

  async #finish() {
    this.#on.progress(100);
    const body = new FormData();
    for (const [name, value] of Object.entries(this.#fields)) body.append(name, value);
    body.append("csrfmiddlewaretoken", this.#options.token);
    body.append("upload", this.#url.split("/").filter(Boolean).at(-1) ?? "");
    const answer = await this.#request("POST", this.#options.page, { body });
    if (answer.status === 404) return this.#restart(answer);
    if (answer.status === 409) throw new Interrupted(answer);
    const final = unlessTemporary(answer);
    if (final.status !== 429) this.#forget(); // too many wait: the server keeps the file
    return final;
  }

  /**
   * The upload is gone, expired perhaps: from the start, but not again and again.
   * @param {TusAnswer} answer
   */
  #restart(answer) {
    this.#forget();
    this.#restarts += 1;
    return this.#restarts > 2 ? answer : null;
  }

  /** @param {string} url */
  #use(url) {
    this.#url = url;
    this.#busy.add(url);
  }

  #forget() {
    this.#options.resumeStore.forget(this.#file, this.#url);
    this.#busy.delete(this.#url);
    this.#url = "";
    this.#offset = null;
  }

  /** @param {number} bytes */
  #showProgress(bytes) {
    this.#on.progress((((this.#offset ?? 0) + bytes) / this.#file.size) * 100);
  }

  /**
   * Wait, but no longer than until the network is back.
   * @param {number} breaks how often the line broke since the last progress
   * @param {number} afterMs what the server asks for
   */
  async #pause(breaks, afterMs) {
    this.#part = partAfterBreak(this.#part, this.#largest);
    this.#on.paused?.();
    const { environment } = this.#options;
    const ms = Math.max(Math.min(afterMs, CAP_MS), backoff(breaks - 1, environment.random));
    /** @type {unknown} */
    let timer;
    let stop = () => {};
    try {
      await new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
        timer = environment.setTimeout(resolve, ms);
        stop = environment.listen({ online: resolve });
        this.#interrupt = resolve;
      });
    } finally {
      environment.clearTimeout(timer);
      stop();
    }
    if (this.#aborted) throw new Error("aborted");
  }

  /**
   * @param {string} method
   * @param {string} url
   * @param {Pick<import("./tus_request.js").RequestOptions, "headers"|"body"|"sent">} more
   */
  #request(method, url, more = {}) {
    const { environment, open, token } = this.#options;
    const request = tusRequest(method, url, { environment, open, token, ...more });
    // Nobody waits for the answer of a DELETE.
    if (method !== "DELETE") this.#interrupt = request.abort;
    return request.answer;
  }
}
