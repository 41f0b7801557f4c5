/**
 * Sends files, a few at a time, and tells how far each one is. No DOM: the page's rows are
 * `upload.js`, and tests bring a sender of their own.
 */

/** At once: more would only make each of them slower, and the server buffers each body. */
const PARALLEL = 2;
/**
 * Until the first file is taken: its answer brings a new visitor's session cookie, and two
 * requests without one would make two visitors, one of them lost with its recording.
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
  #waiting = [];
  /** @type {Map<Upload, {abort: () => void}>} */
  #active = new Map();

  /**
   * @param {object} options
   * @param {(file: File, on: {progress: (pct: number) => void, paused: () => void}) =>
   *   {abort: () => void, answer: Promise<{status: number, body: any}>}} options.send
   * @param {(upload: Upload) => void} options.onChange
   * @param {() => void} options.onIdle nothing waits and nothing runs any more
   * @param {{network: string, failed: string, tooLarge: string}} options.texts
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
   * @returns {Upload}
   */
  add(file, objection = "") {
    const upload = { file, state: "waiting", pct: 0, message: "", answer: null, again: false };
    if (objection) Object.assign(upload, { state: "rejected", message: objection });
    else this.#waiting.push(upload);
    this.#onChange(upload);
    // Started in a moment: whoever adds several files adds all of them first.
    queueMicrotask(() => {
      this.#next();
      if (!this.busy) this.#onIdle();
    });
    return upload;
  }

  /** @param {Upload} upload */
  cancel(upload) {
    if (this.#active.has(upload)) {
      this.#active.get(upload).abort();
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
    while (this.#active.size < this.#parallel && this.#waiting.length > 0) {
      this.#start(this.#waiting.shift());
    }
  }

  async #start(upload) {
    const request = this.#send(upload.file, {
      progress: (pct) => {
        // At 100 the bytes are there, and the server looks into the file.
        const state = pct >= 100 ? "checking" : "sending";
        if (this.#active.get(upload) === request) this.#change(upload, { state, pct });
      },
      // The line is broken, and it goes on by itself.
      paused: () => {
        if (this.#active.get(upload) === request) this.#change(upload, { state: "paused" });
      },
    });
    this.#active.set(upload, request);
    this.#change(upload, { state: "sending" });
    let verdict;
    try {
      verdict = this.#judge(await request.answer);
    } catch {
      verdict = { state: "rejected", message: this.#texts.network, again: true };
    }
    // After a cancel the answer, if any, belongs to nobody.
    if (this.#active.get(upload) === request) this.#finish(upload, verdict);
  }

  #judge({ status, body }) {
    if (status === 201 && typeof body?.url === "string") {
      this.#parallel = PARALLEL;
      return { state: "accepted", pct: 100, answer: body };
    }
    const message = body?.errors?.[0]?.message;
    if (typeof message === "string" && message) return { state: "rejected", message };
    if (status === 413) return { state: "rejected", message: this.#texts.tooLarge };
    return { state: "rejected", message: this.#texts.failed, again: true };
  }

  #finish(upload, verdict) {
    this.#active.delete(upload);
    this.#change(upload, verdict);
    this.#next();
    if (!this.busy) this.#onIdle();
  }

  #change(upload, change) {
    Object.assign(upload, change);
    this.#onChange(upload);
  }
}

/**
 * POST one file as the form would, asking for JSON.
 * @param {string} url
 * @param {Record<string, string>} fields sent along: the CSRF token
 * @returns {(file: File, on: {progress: (pct: number) => void}) =>
 *   {abort: () => void, answer: Promise<{status: number, body: any}>}}
 */
export function sender(url, fields, open = () => new XMLHttpRequest()) {
  return (file, { progress }) => {
    // fetch() still cannot tell how much of a body has left.
    const request = open();
    const answer = new Promise((resolve, reject) => {
      request.upload.onprogress = (event) => {
        if (event.lengthComputable) progress((event.loaded / event.total) * 100);
      };
      request.onload = () => resolve({ status: request.status, body: parsed(request) });
      request.onerror = () => reject(new Error("network"));
      request.ontimeout = () => reject(new Error("timeout"));
      request.onabort = () => reject(new Error("aborted"));
    });
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    form.append("audio", file, file.name);
    request.open("POST", url);
    request.setRequestHeader("Accept", "application/json");
    request.send(form);
    return { abort: () => request.abort(), answer };
  };
}

function parsed(request) {
  try {
    return JSON.parse(request.responseText);
  } catch {
    return null; // a proxy's error page
  }
}
