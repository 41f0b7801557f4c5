import assert from "node:assert/strict";
import { test } from "node:test";

import { TIMES } from "../../../denoise_relay/static/denoise_relay/live/transports.js";
import { Subscriptions } from "../../../denoise_relay/static/denoise_relay/live/subscriptions.js";
import { Network, settle } from "../fakes.js";

const SHARED = "/ws/denoise/";

function page() {
  const network = new Network();
  const subscriptions = new Subscriptions(() => network.environment());
  const add = (job, { seq = 1, shared = false } = {}) => {
    const seen = { seq, frames: [], links: [], ended: false, leave: null };
    const take = (news) => {
      if (news.seq <= seen.seq) return;
      seen.seq = news.seq;
      seen.frames.push(news.seq);
      seen.ended = news.stage !== "processing";
    };
    const watcher = {
      job,
      socketUrl: `/ws/denoise/${job}/`,
      eventsUrl: `/jobs/${job}/events/`,
      statusUrl: `/jobs/${job}/status/`,
      seq: () => seen.seq,
      ended: () => seen.ended,
      frame: take,
      snapshot: take,
      link: (state) => seen.links.push(state),
    };
    seen.leave = subscriptions.watch(watcher, { sharedUrl: SHARED, shared });
    return seen;
  };
  return { network, add };
}

/** The page has settled, and its socket is open. */
async function opened(network) {
  await settle();
  network.socket.opens();
}

const frame = (job, seq, stage = "processing") => ({ job, seq, stage, pct: seq, message: "" });

test("a lone job has a socket of its own", async () => {
  const { network, add } = page();
  add("a");
  await settle();
  assert.deepEqual(
    network.sockets.map((socket) => socket.path),
    ["/ws/denoise/a/?after=1"],
  );
});

test("many jobs share one socket, each from its own position", async () => {
  const { network, add } = page();
  add("a", { seq: 3 });
  add("b", { seq: 0 });
  add("c", { seq: 9 });
  await settle();
  assert.equal(network.sockets.length, 1);
  assert.equal(network.socket.path, SHARED);
  network.socket.opens();
  assert.deepEqual(network.socket.sent[0], { watch: { a: 3, b: 0, c: 9 } });
});

test("a row is never alone on a socket", async () => {
  const { network, add } = page();
  add("a", { shared: true });
  await settle();
  assert.equal(network.socket.path, SHARED);
});

test("a job added later joins the open socket", async () => {
  const { network, add } = page();
  add("a", { shared: true });
  await opened(network);
  add("b", { seq: 4, shared: true });
  await settle();
  assert.equal(network.sockets.length, 1);
  assert.deepEqual(network.socket.sent.at(-1), { watch: { b: 4 } });
});

test("frames go to their job, and only to it", async () => {
  const { network, add } = page();
  const a = add("a");
  const b = add("b");
  await opened(network);
  network.socket.says(frame("b", 2));
  assert.deepEqual(a.frames, []);
  assert.deepEqual(b.frames, [2]);
});

test("two elements may show one job", async () => {
  const { network, add } = page();
  const first = add("a", { seq: 5 });
  const second = add("a", { seq: 2 });
  await opened(network);
  assert.deepEqual(network.socket.sent[0], { watch: { a: 2 } });
  network.socket.says(frame("a", 6));
  assert.deepEqual([first.frames, second.frames], [[6], [6]]);
  first.leave();
  network.socket.says(frame("a", 7));
  assert.deepEqual([first.frames, second.frames], [[6], [6, 7]]);
});

test("the socket closes when all have ended, and opens again for a new one", async () => {
  const { network, add } = page();
  add("a");
  add("b");
  await opened(network);
  network.socket.says(frame("a", 2, "done"));
  assert.equal(network.socket.closedWith, null);
  network.socket.says(frame("b", 2, "error"));
  assert.equal(network.socket.closedWith, 1000);
  add("c", { shared: true });
  await settle();
  assert.equal(network.sockets.length, 2);
});

test("leaving unwatches, and the last one closes", async () => {
  const { network, add } = page();
  const a = add("a");
  const b = add("b");
  await opened(network);
  a.leave();
  assert.deepEqual(network.socket.sent.at(-1), { unwatch: ["a"] });
  b.leave();
  assert.equal(network.socket.closedWith, 1000);
  assert.equal(network.clock.pending, 0);
});

test("leaving before the page has settled opens nothing", async () => {
  const { network, add } = page();
  add("a").leave();
  await settle();
  assert.equal(network.sockets.length, 0);
});

test("an unknown job is told so; the others go on", async () => {
  const { network, add } = page();
  const a = add("a");
  const b = add("b");
  await opened(network);
  network.socket.says({ job: "a", error: "not_found" });
  assert.equal(a.links.filter((state) => state === "gone").length, 1);
  network.socket.says(frame("b", 2));
  assert.deepEqual(b.frames, [2]);
  assert.ok(!b.links.includes("gone"));
});

test("all rows hear of a lost line, and of its return", async () => {
  const { network, add } = page();
  network.chance = 0.999;
  const a = add("a");
  const b = add("b");
  await opened(network);
  network.socket.says({ pong: 1 });
  network.socket.closes(1006);
  await network.clock.pass(TIMES.quiet);
  assert.deepEqual([a.links.at(-1), b.links.at(-1)], ["reconnecting", "reconnecting"]);
  network.socket.opens();
  assert.deepEqual(network.socket.sent[0], { watch: { a: 1, b: 1 } });
  network.socket.says({ pong: 2 });
  assert.deepEqual([a.links.at(-1), b.links.at(-1)], ["live", "live"]);
});

test("without sockets, many jobs are polled one after the other", async () => {
  const { network, add } = page();
  const a = add("a");
  const b = add("b");
  const c = add("c");
  await settle();
  network.answer = (path) => {
    if (path.includes("/a/")) return { status: 200, body: frame("a", 2, "done") };
    if (path.includes("/b/")) return { status: 404, body: null };
    return { status: 200, body: frame("c", 5) };
  };
  for (let i = 0; i < 3; i += 1) {
    network.socket.closes(1006);
    await network.clock.pass(4_000);
  }
  assert.equal(network.streams.length, 0, "six streams are all that HTTP/1.1 has");
  assert.deepEqual([a.frames, b.links.at(-1), c.frames], [[2], "gone", [5]]);
  const before = network.fetched.length;
  await network.clock.pass(TIMES.poll);
  assert.deepEqual(network.fetched.slice(before), ["/jobs/c/status/"]);
});

test("one socket watches a hundred at the most", async () => {
  const { network, add } = page();
  for (let i = 0; i < 101; i += 1) add(`job-${i}`);
  await settle();
  assert.equal(network.sockets.length, 2);
  for (const socket of network.sockets) socket.opens();
  const counts = network.sockets.map((socket) => Object.keys(socket.sent[0].watch).length);
  assert.deepEqual(counts, [100, 1]);
});
