/**
 * Remembers which upload a file belongs to, so that a reloaded page goes on where it stopped.
 * Files are known by size, date and a hash of their name, so that the next user of the browser
 * cannot read the names.
 */

const KEY = "denoise-relay-uploads";
/** Entries that are kept: as many as the server allows unfinished uploads. */
const MOST = 20;

/** @typedef {Record<string, {url: string, expires: number}>} Entries */

export class ResumeStore {
  #storage;
  #now;

  /**
   * @param {Pick<Storage, "getItem"|"setItem">|null} storage null, or one that throws, keeps nothing
   * @param {() => number} now milliseconds since the epoch
   */
  constructor(storage = localStorage(), now = Date.now) {
    this.#storage = storage;
    this.#now = now;
  }

  /**
   * @param {File} file
   * @returns {string} the URL of this file's unfinished upload; empty when there is none
   */
  find(file) {
    return this.#read()[fingerprint(file)]?.url ?? "";
  }

  /**
   * @param {File} file
   * @param {string} url
   * @param {number} expires milliseconds since the epoch
   */
  keep(file, url, expires) {
    this.#write({ ...this.#read(), [fingerprint(file)]: { url, expires } });
  }

  /**
   * Forget this upload only: the same file may be sent a second time.
   * @param {File} file
   * @param {string} url
   */
  forget(file, url) {
    const known = this.#read();
    if (known[fingerprint(file)]?.url !== url) return;
    delete known[fingerprint(file)];
    this.#write(known);
  }

  /** @returns {Entries} */
  #read() {
    try {
      const known = JSON.parse(this.#storage?.getItem(KEY) ?? "{}");
      const valid = (/** @type {[string, any]} */ [, entry]) =>
        typeof entry?.url === "string" && entry.expires > this.#now();
      return Object.fromEntries(Object.entries(known).filter(valid));
    } catch {
      return {}; // forbidden, or not ours
    }
  }

  /** @param {Entries} known */
  #write(known) {
    const newest = Object.entries(known).sort(([, a], [, b]) => b.expires - a.expires);
    try {
      this.#storage?.setItem(KEY, JSON.stringify(Object.fromEntries(newest.slice(0, MOST))));
    } catch {
      // Forbidden or full: after a reload, the upload starts from the beginning.
    }
  }
}

/**
 * FNV-1a over UTF-16 units: enough to tell one person's files of equal size and date apart.
 * @param {File} file
 */
function fingerprint(file) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < file.name.length; i += 1) {
    hash = Math.imul(hash ^ file.name.charCodeAt(i), 0x01000193) >>> 0;
  }
  return `${file.size}-${file.lastModified ?? 0}-${hash.toString(16)}`;
}

/** Where browsers forbid it, reading the property throws. */
function localStorage() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
