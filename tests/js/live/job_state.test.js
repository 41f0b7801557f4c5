import assert from "node:assert/strict";
import { test } from "node:test";

import {
  applyFrame,
  applySnapshot,
  initialState,
  isTerminal,
} from "../../../denoise_relay/static/denoise_relay/live/job_state.js";
import { done, frame, JOB } from "../fakes.js";

const start = (more = {}) => initialState({ job: JOB, ...more });
const after = (frames, from = start()) => frames.reduce(applyFrame, from);

test("a frame becomes the state", () => {
  const state = after([frame(1, { pct: 12.5, message: "Reading" })]);
  assert.deepEqual(
    { ...state },
    {
      job: JOB,
      seq: 1,
      stage: "processing",
      status: "processing",
      pct: 12.5,
      message: "Reading",
      url: "",
      warning: "",
    },
  );
});

test("a warning comes with the end, from a frame, a snapshot or the page", () => {
  const warning = "No speech was found.";
  assert.equal(after([frame(1, { warning })]).warning, "");
  assert.equal(after([done(1, { warning })]).warning, warning);
  assert.equal(start({ stage: "done", warning }).warning, warning);
  const snapshot = { ...done(3), status: "done", warning };
  assert.equal(applySnapshot(start(), snapshot).warning, warning);
  assert.equal(applySnapshot(start(), { ...snapshot, warning: null }).warning, "");
});

test("seq strictly increases: repeats and older frames change nothing", () => {
  const state = after([frame(5)]);
  for (const seq of [5, 4, 1, 0]) {
    assert.equal(applyFrame(state, frame(seq, { pct: 99 })), state);
  }
});

test("after a database went back, the end counts whatever its seq", () => {
  const state = after([frame(50, { pct: 62 })]);
  for (const seq of [45, 50]) {
    const ended = applyFrame(state, done(seq));
    assert.deepEqual([ended.stage, ended.seq, ended.url], ["done", seq, "/clean.wav"]);
    const told = applySnapshot(state, { ...done(seq), status: "done" });
    assert.deepEqual([told.stage, told.status], ["done", "done"]);
  }
});

test("after a database went back, progress goes on from where the server says", () => {
  const state = after([frame(50, { pct: 62 })]);
  assert.equal(applyFrame(state, frame(31)), state);
  const back = applyFrame(state, frame(31, { pct: 40, message: "Again", rewound: true }));
  assert.deepEqual([back.seq, back.pct, back.message], [31, 62, "Again"]);
  assert.equal(applyFrame(back, frame(31, { rewound: true })), back);
  assert.equal(applyFrame(back, frame(32)).seq, 32);
  const ended = after([done(60)]);
  assert.equal(applyFrame(ended, frame(31, { rewound: true })), ended);
});

test("a hole is no obstacle: frames are whole states", () => {
  assert.equal(after([frame(1), frame(9)]).seq, 9);
});

test("pct never falls, while the message goes on", () => {
  const state = after([frame(1, { pct: 62 }), frame(2, { pct: 15, message: "Again" })]);
  assert.equal(state.pct, 62);
  assert.equal(state.message, "Again");
});

test("pct is bounded and what is no number is ignored", () => {
  assert.equal(after([frame(1, { pct: 900 })]).pct, 100);
  assert.equal(after([frame(1, { pct: -3 })]).pct, 0);
  for (const pct of [Number.NaN, "62", null, undefined, Infinity]) {
    assert.equal(after([frame(1, { pct: 40 }), frame(2, { pct })]).pct, 40);
  }
});

test("the end is final", () => {
  const ended = after([frame(1), done(2)]);
  assert.ok(isTerminal(ended));
  assert.equal(ended.pct, 100);
  assert.equal(ended.url, "/clean.wav");
  assert.equal(applyFrame(ended, frame(3)), ended);
  assert.equal(applyFrame(ended, frame(4, { stage: "error" })), ended);
});

test("an error keeps the percent it reached", () => {
  const state = after([frame(4), frame(5, { stage: "error", pct: 0, message: "No voice" })]);
  assert.equal(state.pct, 40);
  assert.equal(state.status, "error");
  assert.equal(state.message, "No voice");
});

test("what is not for this job, or not a frame, changes nothing", () => {
  const state = after([frame(1)]);
  const strange = [
    null,
    7,
    "frame",
    [],
    {},
    frame(2, { job: "other" }),
    frame(2, { stage: "paused" }),
    frame("2"),
    frame(2.5),
    frame(-1),
    { pong: 1 },
  ];
  for (const it of strange) assert.equal(applyFrame(state, it), state);
});

test("waiting is over with the first percent, not before", () => {
  const queued = start({ status: "queued" });
  const waiting = applyFrame(queued, frame(1, { pct: 0, message: "Queued, 3 ahead" }));
  assert.equal(waiting.status, "queued");
  assert.equal(applyFrame(waiting, frame(2, { pct: 1 })).status, "processing");
});

test("a snapshot refines the status at the same seq: error becomes canceled", () => {
  const failed = after([frame(3, { stage: "error", message: "Canceled." })]);
  const refined = applySnapshot(failed, { ...failed, status: "canceled" });
  assert.equal(refined.status, "canceled");
  assert.equal(applySnapshot(refined, { ...refined }), refined);
});

test("a snapshot never goes back", () => {
  const state = after([frame(5)]);
  assert.equal(applySnapshot(state, { ...frame(4), status: "processing" }), state);
  const ended = after([done(6)]);
  assert.equal(applySnapshot(ended, { ...frame(9), status: "processing" }), ended);
  assert.equal(applySnapshot(ended, { ...done(5), status: "done" }), ended);
});

test("a snapshot brings the end with its address", () => {
  const snapshot = { ...done(7), status: "done", url: "/a.wav" };
  const state = applySnapshot(after([frame(2)]), snapshot);
  assert.deepEqual([state.stage, state.status, state.url], ["done", "done", "/a.wav"]);
});

test("a snapshot's url is nothing until done", () => {
  const snapshot = { ...frame(3), status: "processing", url: null };
  assert.equal(applySnapshot(start(), snapshot).url, "");
});

test("states are frozen", () => {
  assert.throws(() => {
    after([frame(1)]).pct = 5;
  }, TypeError);
});

test("any order of any frames keeps the promises", () => {
  // A small deterministic generator, so that a failure can be repeated.
  let seed = 42;
  const random = (n) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % n;
  };
  for (let round = 0; round < 300; round += 1) {
    let state = start();
    let ends = 0;
    for (let step = 0; step < 40; step += 1) {
      const stage = ["processing", "processing", "processing", "done", "error"][random(5)];
      const next = applyFrame(state, frame(random(30), { stage, pct: random(120) - 10 }));
      if (next !== state) {
        assert.ok(next.seq > state.seq || isTerminal(next));
        assert.ok(next.pct >= state.pct && next.pct <= 100);
        assert.ok(!isTerminal(state));
        if (isTerminal(next)) ends += 1;
      }
      state = next;
    }
    assert.ok(ends <= 1);
  }
});
