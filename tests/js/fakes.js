/** A clock and a network for tests: nothing here waits, everything happens when told. */

export class Clock {
  now = 0;
  #next = 1;
  #timers = new Map();

  setTimeout = (callback, ms) => {
    const id = this.#next++;
    this.#timers.set(id, { at: this.now + ms, callback });
    return id;
  };

  clearTimeout = (id) => this.#timers.delete(id);

  get pending() {
    return this.#timers.size;
  }

  /** Run what falls due, in order, letting promises settle in between. */
  async pass(ms) {
    const end = this.now + ms;
    for (;;) {
      await settle();
      const due = [...this.#timers].filter(([, timer]) => timer.at <= end);
      if (due.length === 0) break;
      const [id, timer] = due.reduce((a, b) => (b[1].at < a[1].at ? b : a));
      this.#timers.delete(id);
      this.now = timer.at;
      timer.callback();
    }
    this.now = end;
    await settle();
  }
}

/** Let every promise that can be settled settle. */
export async function settle() {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
}

class FakeSocket {
  readyState = 0;
  sent = [];
  closedWith = null;
  onopen = null;
  onmessage = null;
  onclose = null;

  constructor(path) {
    this.path = path;
  }

  send(text) {
    if (this.readyState !== 1) throw new Error("not open");
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.closedWith = code;
    this.readyState = 3;
  }

  // What the server does:

  opens() {
    this.readyState = 1;
    this.onopen?.({});
  }

  says(data) {
    this.onmessage?.({ data: typeof data === "string" ? data : JSON.stringify(data) });
  }

  closes(code = 1006) {
    this.readyState = 3;
    this.onclose?.({ code });
  }

  get pings() {
    return this.sent.filter((message) => "ping" in message).length;
  }
}

class FakeStream {
  closed = false;
  onopen = null;
  onmessage = null;
  onerror = null;

  constructor(path) {
    this.path = path;
  }

  close() {
    this.closed = true;
  }

  says(data) {
    this.onmessage?.({ data: JSON.stringify(data) });
  }
}

export class Network {
  clock = new Clock();
  sockets = [];
  streams = [];
  fetched = [];
  isOnline = true;
  isVisible = true;
  chance = 0.5;
  /** What the status endpoint answers: a function of the path. */
  answer = () => {
    throw new Error("unreachable");
  };
  #handlers = {};

  environment() {
    return {
      setTimeout: this.clock.setTimeout,
      clearTimeout: this.clock.clearTimeout,
      random: () => this.chance,
      online: () => this.isOnline,
      visible: () => this.isVisible,
      openSocket: (path) => this.#keep(this.sockets, new FakeSocket(path)),
      openStream: (path) => this.#keep(this.streams, new FakeStream(path)),
      fetchJson: async (path) => {
        this.fetched.push(path);
        return this.answer(path);
      },
      listen: (handlers) => {
        this.#handlers = handlers;
        return () => {
          this.#handlers = {};
        };
      },
    };
  }

  get listening() {
    return Object.keys(this.#handlers).length > 0;
  }

  emit(name, event = {}) {
    this.#handlers[name]?.(event);
  }

  get socket() {
    return this.sockets.at(-1);
  }

  get stream() {
    return this.streams.at(-1);
  }

  #keep(list, item) {
    list.push(item);
    return item;
  }
}

export const JOB = "5b1d2f7e-3f81-4c2a-9c5d-7a2e91b4c7a1";

export function frame(seq, more = {}) {
  return { job: JOB, seq, stage: "processing", pct: seq * 10, message: `step ${seq}`, ...more };
}

export function done(seq, more = {}) {
  return frame(seq, { stage: "done", pct: 100, message: "", url: "/clean.wav", ...more });
}
