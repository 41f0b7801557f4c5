/** One request of the tus protocol, which ends when it makes no progress any more. */

import { parsed } from "./json.js";

/** Without progress for this long the connection is broken, whatever the browser reports. */
const STALL_MS = 45_000;
/** For the answer: the server checks the recording, which takes some seconds. */
const ANSWER_MS = 150_000;

/** @typedef {{status: number, body: any, header: (name: string) => string|null}} TusAnswer */

/** A step failed that may succeed later; only this step has to be repeated. */
export class Interrupted extends Error {
  /**
   * @param {TusAnswer|null} answer what the server answered, if it did
   * @param {number} afterMs how long it asks to wait
   */
  constructor(answer = null, afterMs = 0) {
    super("interrupted");
    this.answer = answer;
    this.afterMs = afterMs;
  }
}

/**
 * @typedef {object} RequestOptions
 * @property {string} token against forged requests
 * @property {import("../environment.js").Environment} environment
 * @property {() => XMLHttpRequest} open
 * @property {Record<string, string>} [headers]
 * @property {Blob|FormData|null} [body]
 * @property {(bytes: number) => void} [sent]
 */

/**
 * Send a request. The answer rejects with `Interrupted` when the connection breaks or stalls.
 * @param {string} method
 * @param {string} url
 * @param {RequestOptions} options
 * @returns {{abort: () => void, answer: Promise<TusAnswer>}}
 */
export function tusRequest(method, url, options) {
  const { token, environment, open, headers = {}, body = null, sent = () => {} } = options;
  const request = open();
  /** @type {unknown} */
  let timer = null;
  const abortAfter = (/** @type {number} */ ms) => {
    environment.clearTimeout(timer);
    timer = environment.setTimeout(() => request.abort(), ms);
  };
  /** @type {Promise<TusAnswer>} */
  const answer = new Promise((resolve, reject) => {
    request.upload.onprogress = (event) => {
      abortAfter(STALL_MS);
      sent(event.loaded);
    };
    request.upload.onload = () => abortAfter(ANSWER_MS);
    request.onload = () => {
      const header = (/** @type {string} */ name) => request.getResponseHeader(name);
      resolve({ status: request.status, body: parsed(request.responseText), header });
    };
    request.onerror = request.onabort = () => reject(new Interrupted());
  });
  request.open(method, url);
  const common = { Accept: "application/json", "Tus-Resumable": "1.0.0", "X-CSRFToken": token };
  for (const [name, value] of Object.entries({ ...common, ...headers })) {
    request.setRequestHeader(name, value);
  }
  abortAfter(body ? STALL_MS : ANSWER_MS);
  request.send(body);
  return {
    abort: () => request.abort(),
    answer: answer.finally(() => environment.clearTimeout(timer)),
  };
}

/**
 * `Upload-Metadata`, whose values are Base64 of UTF-8.
 * @param {File} file
 */
export function metadata(file) {
  const encode = (/** @type {string} */ text) =>
    btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  return `filename ${encode(file.name.slice(-500))},filetype ${encode(file.type ?? "")}`;
}

/**
 * The answer, unless it says that a later try may succeed: then throws `Interrupted`.
 * @param {TusAnswer} answer
 */
export function unlessTemporary(answer) {
  if (answer.status === 423 || (answer.status >= 500 && answer.status !== 507)) {
    throw new Interrupted(answer, 1000 * (Number(answer.header("Retry-After")) || 0));
  }
  return answer;
}
