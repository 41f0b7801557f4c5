/**
 * Which upload a file belongs to, so that a page that was reloaded goes on where it stopped.
 * Files are known by size, date and a hash of their name: who uses the browser next reads none.
 */

const KEY = "denoise-relay-uploads";
/** More than anybody sends at a time; the server allows as many unfinished ones. */
const MOST = 20;

export class RememberedUploads {
  #storage;
  #now;

  /**
   * @param {Storage|null} storage null, or one that throws, remembers nothing
   * @param {() => number} now milliseconds since the epoch
   */
  constructor(storage, now = Date.now) {
    this.#storage = storage;
    this.#now = now;
  }

  /** @returns {string} the URL of this file's unfinished upload; empty when there is none */
  find(file) {
    return this.#read()[fingerprint(file)]?.url ?? "";
  }

  /** @param {number} expires milliseconds since the epoch */
  keep(file, url, expires) {
    this.#write({ ...this.#read(), [fingerprint(file)]: { url, expires } });
  }

  /** Only this upload's: the same file may be on its way a second time. */
  forget(file, url) {
    const known = this.#read();
    if (known[fingerprint(file)]?.url !== url) return;
    delete known[fingerprint(file)];
    this.#write(known);
  }

  #read() {
    try {
      const known = JSON.parse(this.#storage.getItem(KEY) ?? "{}");
      const valid = ([, entry]) => typeof entry?.url === "string" && entry.expires > this.#now();
      return Object.fromEntries(Object.entries(known).filter(valid));
    } catch {
      return {}; // forbidden, or not ours
    }
  }

  #write(known) {
    const newest = Object.entries(known).sort(([, a], [, b]) => b.expires - a.expires);
    try {
      this.#storage.setItem(KEY, JSON.stringify(Object.fromEntries(newest.slice(0, MOST))));
    } catch {
      // Forbidden or full: a reload starts anew.
    }
  }
}

/** FNV-1a over UTF-16 units: enough to tell one person's files of equal size and date apart. */
function fingerprint(file) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < file.name.length; i += 1) {
    hash = Math.imul(hash ^ file.name.charCodeAt(i), 0x01000193) >>> 0;
  }
  return `${file.size}-${file.lastModified ?? 0}-${hash.toString(16)}`;
}
