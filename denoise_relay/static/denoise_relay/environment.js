/**
 * The parts of the browser that connections and uploads need, in one object, so that tests can
 * pass a clock of their own and transports that fail on demand.
 */

const FETCH_MS = 10_000;

/**
 * @typedef {object} Environment
 * @property {(callback: () => void, ms: number) => unknown} setTimeout
 * @property {(timer: unknown) => void} clearTimeout
 * @property {() => number} random in [0, 1)
 * @property {() => boolean} online false only when the browser is sure that there is no network
 * @property {() => boolean} visible
 * @property {(path: string) => WebSocket} openSocket
 * @property {(path: string) => EventSource} openStream
 * @property {FetchJson} fetchJson
 * @property {(handlers: Record<string, (event: any) => void>) => () => void} listen to
 *   `online`, `offline`, `visibilitychange`, `pagehide`, `pageshow`; returns how to stop
 */

/**
 * Get JSON of this site; `body` is null unless the status is 2xx, and not 204. Rejects without a network and
 * after 10 seconds.
 * @callback FetchJson
 * @param {string} path
 * @returns {Promise<{status: number, body: any}>}
 */

/** @returns {Environment} */
export function browser() {
  return {
    setTimeout: (callback, ms) => window.setTimeout(callback, ms),
    clearTimeout: (timer) => window.clearTimeout(/** @type {number} */ (timer)),
    random: Math.random,
    online: () => navigator.onLine !== false,
    visible: () => document.visibilityState === "visible",
    openSocket: (path) => new WebSocket(socketUrl(path)),
    openStream: (path) => new EventSource(path),
    fetchJson,
    listen,
  };
}

/** Timers with names: setting one again replaces it. */
export class Timers {
  #environment;
  /** @type {Map<string, unknown>} */
  #running = new Map();

  /** @param {Environment} environment */
  constructor(environment) {
    this.#environment = environment;
  }

  /** @param {string} name */
  has(name) {
    return this.#running.has(name);
  }

  /**
   * @param {string} name
   * @param {number} ms
   * @param {() => void} callback
   */
  set(name, ms, callback) {
    this.clear(name);
    const timer = this.#environment.setTimeout(() => {
      this.#running.delete(name);
      callback();
    }, ms);
    this.#running.set(name, timer);
  }

  /** @param {string} name */
  clear(name) {
    if (!this.#running.has(name)) return;
    this.#environment.clearTimeout(this.#running.get(name));
    this.#running.delete(name);
  }

  clearAll() {
    for (const name of [...this.#running.keys()]) this.clear(name);
  }
}

/**
 * WebSocket URLs could not be relative until 2024.
 * @param {string} path
 */
function socketUrl(path) {
  const url = new URL(path, document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/** @type {FetchJson} */
async function fetchJson(path) {
  const response = await fetch(path, {
    headers: { Accept: "application/json" },
    cache: "no-store",
    credentials: "same-origin",
    signal: AbortSignal.timeout(FETCH_MS),
  });
  const hasBody = response.ok && response.status !== 204;
  return { status: response.status, body: hasBody ? await response.json() : null };
}

/** @param {Record<string, (event: any) => void>} handlers */
function listen(handlers) {
  const targetOf = (/** @type {string} */ name) =>
    name === "visibilitychange" ? document : window;
  for (const [name, handler] of Object.entries(handlers)) {
    targetOf(name).addEventListener(name, handler);
  }
  return () => {
    for (const [name, handler] of Object.entries(handlers)) {
      targetOf(name).removeEventListener(name, handler);
    }
  };
}
