/**
 * Sends a file in parts (tus 1.0), so that a broken connection costs one part and
 * not the whole file.
 * A `Send` for `UploadQueue`, as `formSender` is, to which it leaves small files.
 */

import { browser } from "../environment.js";
import { FIRST_PART } from "./part_size.js";
import { ResumeStore } from "./resume_store.js";
import { Transfer } from "./transfer.js";

/**
 * @typedef {object} TusOptions
 * @property {string} url where uploads are announced
 * @property {string} page where a whole one becomes a job
 * @property {string} token against forged requests
 * @property {number} largestPart bytes
 * @property {import("./queue.js").Send} form the sender for small files, and without tus
 * @property {ResumeStore} [resumeStore]
 * @property {import("../environment.js").Environment} [environment]
 * @property {() => XMLHttpRequest} [open]
 * @property {() => number} [now] milliseconds since the epoch
 */

/**
 * @param {TusOptions} given
 * @returns {import("./queue.js").Send}
 */
export function resumable(given) {
  const options = {
    resumeStore: new ResumeStore(),
    environment: browser(),
    open: () => new XMLHttpRequest(),
    now: Date.now,
    ...given,
  };
  /**
   * URLs in use. A file that is chosen twice is sent twice: two senders of one upload would
   * disturb each other.
   * @type {Set<string>}
   */
  const busy = new Set();
  return (file, on, fields) => {
    if (file.size <= FIRST_PART) return options.form(file, on, fields);
    const transfer = new Transfer({ file, fields }, on, busy, options);
    return { abort: () => transfer.abort(), answer: transfer.run() };
  };
}
