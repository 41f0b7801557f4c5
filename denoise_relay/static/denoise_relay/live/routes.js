/**
 * What is sent and received over a `Connection`: one job on a socket of its own, or many jobs on
 * a shared one.
 */

/** @typedef {import("../environment.js").FetchJson} FetchJson */

/**
 * @typedef {object} Route
 * @property {() => string} socketUrl where to connect; carries the position to resume from
 * @property {() => string|null} streamUrl the same over SSE; null where that does not exist
 * @property {(send: ((message: object) => void)|null) => void} opened a socket is open, or gone
 * @property {(data: any) => void} receive one decoded message
 * @property {(fetchJson: FetchJson) => Promise<"ok"|"gone">} poll
 *   ask once; rejects on failure
 * @property {() => boolean} finished nothing left to wait for
 */

/**
 * One element that shows one job.
 * @typedef {object} Watcher
 * @property {string} job UUID
 * @property {string} socketUrl
 * @property {string} eventsUrl
 * @property {string} statusUrl
 * @property {() => number} seq the newest event seen
 * @property {() => boolean} ended
 * @property {(frame: any) => void} frame
 * @property {(snapshot: any) => void} snapshot
 * @property {(state: string) => void} link `live`, `reconnecting` or `gone`
 */

/**
 * @param {string} url
 * @param {number} seq
 */
function resumed(url, seq) {
  return `${url}${url.includes("?") ? "&" : "?"}after=${seq}`;
}

/**
 * @param {Watcher} watcher
 * @param {FetchJson} fetchJson
 * @returns {Promise<"ok"|"gone">}
 */
async function ask(watcher, fetchJson) {
  const { status, body } = await fetchJson(watcher.statusUrl);
  if (status === 404) return "gone";
  if (status !== 200) throw new Error(`status ${status}`);
  watcher.snapshot(body);
  return "ok";
}

/** @implements {Route} */
export class LoneRoute {
  /** @param {Watcher} watcher */
  constructor(watcher) {
    this.watcher = watcher;
  }

  socketUrl() {
    return resumed(this.watcher.socketUrl, this.watcher.seq());
  }

  streamUrl() {
    return resumed(this.watcher.eventsUrl, this.watcher.seq());
  }

  opened() {}

  /** @param {any} data */
  receive(data) {
    this.watcher.frame(data);
  }

  /** @param {FetchJson} fetchJson */
  poll(fetchJson) {
    return ask(this.watcher, fetchJson);
  }

  finished() {
    return this.watcher.ended();
  }
}

/** @implements {Route} */
export class SharedRoute {
  #url;
  /** @type {((message: object) => void)|null} */
  #send = null;
  /** @type {Map<string, Set<Watcher>>} several elements may show one job */
  #watchers = new Map();

  /** @param {string} url */
  constructor(url) {
    this.#url = url;
  }

  get size() {
    return this.#watchers.size;
  }

  /** @param {string} job */
  has(job) {
    return this.#watchers.has(job);
  }

  /** @param {Watcher} watcher */
  add(watcher) {
    const peers = this.#watchers.get(watcher.job);
    if (peers) {
      peers.add(watcher);
      return;
    }
    this.#watchers.set(watcher.job, new Set([watcher]));
    this.#send?.({ watch: { [watcher.job]: watcher.seq() } });
  }

  /** @param {Watcher} watcher */
  remove(watcher) {
    const peers = this.#watchers.get(watcher.job);
    if (!peers?.delete(watcher) || peers.size > 0) return;
    this.#watchers.delete(watcher.job);
    this.#send?.({ unwatch: [watcher.job] });
  }

  /** @param {string} state */
  link(state) {
    for (const watcher of this.#all()) watcher.link(state);
  }

  socketUrl() {
    return this.#url;
  }

  /** A page may open six streams at most over HTTP/1.1: many jobs are polled instead. */
  streamUrl() {
    return null;
  }

  /** @param {((message: object) => void)|null} send */
  opened(send) {
    this.#send = send;
    const positions = this.#positions();
    if (send !== null && Object.keys(positions).length > 0) send({ watch: positions });
  }

  /** @param {any} data */
  receive(data) {
    const peers = [...(this.#watchers.get(data.job) ?? [])];
    for (const watcher of peers) {
      if (data.error === "not_found") this.#forget(watcher);
      else watcher.frame(data);
      if (watcher.ended()) this.remove(watcher);
    }
  }

  /**
   * One after the other: twenty rows are not worth twenty requests at once.
   * @param {FetchJson} fetchJson
   * @returns {Promise<"ok">}
   */
  async poll(fetchJson) {
    for (const watcher of this.#all()) {
      if (watcher.ended()) this.remove(watcher);
      else if ((await ask(watcher, fetchJson)) === "gone") this.#forget(watcher);
      else if (watcher.ended()) this.remove(watcher);
    }
    return "ok";
  }

  finished() {
    return this.#watchers.size === 0;
  }

  /** @param {Watcher} watcher */
  #forget(watcher) {
    this.remove(watcher);
    watcher.link("gone");
  }

  #all() {
    return [...this.#watchers.values()].flatMap((peers) => [...peers]);
  }

  /** The lowest position wins: repeats are ignored, gaps would not be noticed. */
  #positions() {
    const entries = [...this.#watchers].map(([job, peers]) => [
      job,
      Math.min(...[...peers].map((watcher) => watcher.seq())),
    ]);
    return Object.fromEntries(entries);
  }
}
