/**
 * Gives each job on the page a connection: a single job gets a socket of its own, several
 * share one. A page opens at most two sockets for each hundred elements.
 */

import { browser } from "../environment.js";
import { Connection } from "./connection.js";
import { LoneRoute, SharedRoute } from "./routes.js";

/** @typedef {import("./routes.js").Watcher} Watcher */
/** @typedef {{route: SharedRoute, connection: Connection}} Shared */
/** @typedef {{watcher: Watcher, sharedUrl: string, shared: boolean, leave: () => void}} Request */

/** What the server allows on one shared socket (MAX_WATCHES). */
const SHARED_LIMIT = 100;

export class Subscriptions {
  #environment;
  /** @type {Connection|null} */
  #lone = null;
  /** @type {Set<Shared>} */
  #shared = new Set();
  /** @type {Set<Request>} */
  #waiting = new Set();

  /** @param {() => import("../environment.js").Environment} environment */
  constructor(environment = browser) {
    this.#environment = environment;
  }

  /**
   * Watch a job until it ends or until the returned function is called.
   * @param {import("./routes.js").Watcher} watcher
   * @param {{sharedUrl: string, shared?: boolean}} options `shared`: never alone
   * @returns {() => void}
   */
  watch(watcher, { sharedUrl, shared = false }) {
    /** @type {Request} */
    const request = { watcher, sharedUrl, shared, leave: () => {} };
    // All elements of a page are upgraded in one task; only then is their number known.
    if (this.#waiting.size === 0) queueMicrotask(() => this.#assign());
    this.#waiting.add(request);
    return () => {
      this.#waiting.delete(request);
      request.leave();
    };
  }

  #assign() {
    const requests = [...this.#waiting];
    this.#waiting.clear();
    const alone = requests.length === 1 && this.#lone === null && this.#shared.size === 0;
    for (const request of requests) {
      request.leave = alone && !request.shared ? this.#watchAlone(request) : this.#join(request);
    }
  }

  /** @param {Request} request */
  #watchAlone({ watcher }) {
    const connection = new Connection(
      new LoneRoute(watcher),
      (state) => {
        if (state === "gone" || state === "stopped") this.#lone = null;
        if (state !== "stopped") watcher.link(state);
      },
      this.#environment(),
    );
    this.#lone = connection;
    connection.start();
    return () => connection.stop();
  }

  /** @param {Request} request */
  #join({ watcher, sharedUrl }) {
    const shared =
      [...this.#shared].find(({ route }) => route.has(watcher.job) || route.size < SHARED_LIMIT) ??
      this.#openShared(sharedUrl);
    shared.route.add(watcher);
    shared.connection.start();
    return () => {
      shared.route.remove(watcher);
      if (shared.route.finished()) shared.connection.stop();
    };
  }

  /** @param {string} url */
  #openShared(url) {
    const route = new SharedRoute(url);
    const connection = new Connection(
      route,
      (state) => {
        if (state === "gone" || state === "stopped") this.#shared.delete(shared);
        if (state !== "stopped") route.link(state);
      },
      this.#environment(),
    );
    /** @type {Shared} */
    const shared = { route, connection };
    this.#shared.add(shared);
    return shared;
  }
}

/** The page's own. */
export const subscriptions = new Subscriptions();
