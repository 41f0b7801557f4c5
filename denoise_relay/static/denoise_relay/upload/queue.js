/**
 * Sends files, a few at a time, and reports how far each one is. No DOM: the rows of the page
 * are in `denoise-upload.js`, and tests pass a sender of their own.
 */

/**
 * Sends one file. The answer is that of the upload page; it rejects when the connection
 * stays broken.
 * @callback Send
 * @param {File} file
 * @param {Progress} on
 * @param {Record<string, string>} fields of the form, sent along
 * @returns {Sending}
 */
/** @typedef {{progress: (pct: number) => void, paused?: () => void}} Progress */
/** @typedef {{status: number, body: any}} Answer */
/** @typedef {{abort: () => void, answer: Promise<Answer>}} Sending */
/** @typedef {Partial<Upload>} Change */

/** Files at a time: more would only make each of them slower, and the server buffers each body. */
const PARALLEL = 2;
/**
 * Files at a time until the first is accepted. The page came with a visitor's session cookie; if it
 * has ended since (a logout in another tab), the first answer brings a new one, and two requests
 * without a cookie would make two visitors, one of them lost with its recording.
 */
const FIRST = 1;

/**
 * @typedef {object} Sent an accepted file: the 201 answer
 * @property {string} job
 * @property {string} url of its page
 */

/**
 * @typedef {object} Upload
 * @property {File} file
 * @property {Record<string, string>} fields of the form, as they were when the file was added
 * @property {"waiting"|"sending"|"paused"|"checking"|"accepted"|"rejected"|"canceled"} state
 * @property {number} pct of its bytes
 * @property {string} message why it was rejected, in the server's words
 * @property {Sent|null} answer
 * @property {boolean} again whether another try makes sense
 */

export class UploadQueue {
  #send;
  #onChange;
  #onIdle;
  #texts;
  #parallel = FIRST;
  /** @type {Upload[]} */
  #waiting = [];
  /** @type {Map<Upload, Sending>} */
  #active = new Map();

  /**
   * @param {object} options
   * @param {Send} options.send
   * @param {(upload: Upload) => void} options.onChange
   * @param {() => void} options.onIdle nothing waits and nothing runs any more
   * @param {Record<string, string>} options.texts `network`, `failed`, `tooLarge`
   */
  constructor({ send, onChange, onIdle, texts }) {
    this.#send = send;
    this.#onChange = onChange;
    this.#onIdle = onIdle;
    this.#texts = texts;
  }

  get busy() {
    return this.#active.size + this.#waiting.length > 0;
  }

  /**
   * @param {File} file
   * @param {string} objection why it will not be sent at all; empty when it will
   * @param {Record<string, string>} fields
   * @returns {Upload}
   */
  add(file, objection = "", fields = {}) {
    /** @type {Upload} */
    const upload = { file, fields, state: "waiting", pct: 0, message: "", answer: null, again: false };
    if (objection) Object.assign(upload, { state: "rejected", message: objection });
    else this.#waiting.push(upload);
    this.#onChange(upload);
    // Started in a microtask: a caller that adds several files adds all of them first.
    queueMicrotask(() => {
      this.#next();
      if (!this.busy) this.#onIdle();
    });
    return upload;
  }

  /** @param {Upload} upload */
  cancel(upload) {
    const request = this.#active.get(upload);
    if (request) {
      request.abort();
    } else {
      this.#waiting = this.#waiting.filter((other) => other !== upload);
    }
    this.#finish(upload, { state: "canceled" });
  }

  /** @param {Upload} upload */
  retry(upload) {
    this.#change(upload, { state: "waiting", pct: 0, message: "", again: false });
    this.#waiting.push(upload);
    this.#next();
  }

  #next() {
    while (this.#active.size < this.#parallel) {
      const upload = this.#waiting.shift();
      if (upload === undefined) return;
      this.#start(upload);
    }
  }

  /** @param {Upload} upload */
  async #start(upload) {
    /** @type {Progress} */
    const on = {
      progress: (pct) => {
        // At 100 the bytes are there, and the server looks into the file.
        const state = pct >= 100 ? "checking" : "sending";
        if (this.#active.get(upload) === request) this.#change(upload, { state, pct });
      },
      // The line is broken, and it goes on by itself.
      paused: () => {
        if (this.#active.get(upload) === request) this.#change(upload, { state: "paused" });
      },
    };
    const request = this.#send(upload.file, on, upload.fields);
    this.#active.set(upload, request);
    this.#change(upload, { state: "sending" });
    /** @type {Change} */
    let outcome;
    try {
      outcome = this.#outcome(await request.answer);
    } catch {
      outcome = { state: "rejected", message: this.#texts.network, again: true };
    }
    // After a cancel the answer is ignored.
    if (this.#active.get(upload) === request) this.#finish(upload, outcome);
  }

  /**
   * @param {Answer} answer
   * @returns {Change}
   */
  #outcome({ status, body }) {
    if (status === 201 && typeof body?.url === "string") {
      this.#parallel = PARALLEL;
      return { state: "accepted", pct: 100, answer: body };
    }
    const message = body?.errors?.[0]?.message;
    const again = status === 429 || status === 503;
    if (typeof message === "string" && message) return { state: "rejected", message, again };
    if (status === 413) return { state: "rejected", message: this.#texts.tooLarge };
    return { state: "rejected", message: this.#texts.failed, again: true };
  }

  /**
   * @param {Upload} upload
   * @param {Change} outcome
   */
  #finish(upload, outcome) {
    this.#active.delete(upload);
    this.#change(upload, outcome);
    this.#next();
    if (!this.busy) this.#onIdle();
  }

  /**
   * @param {Upload} upload
   * @param {Change} change
   */
  #change(upload, change) {
    Object.assign(upload, change);
    this.#onChange(upload);
  }
}
