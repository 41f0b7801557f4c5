import assert from "node:assert/strict";
import { test } from "node:test";

import { listenToPointers } from "../../../denoise_relay/static/denoise_relay/player/timeline_pointer.js";

/** 200 pixels wide, 100 from the left. */
function line({ zoomed = true } = {}) {
  const element = Object.assign(new EventTarget(), {
    clientWidth: 200,
    getBoundingClientRect: () => ({ left: 100, width: 200 }),
    setPointerCapture() {},
  });
  const meant = [];
  const stop = new AbortController();
  listenToPointers(
    element,
    {
      seek: (fraction, done) => meant.push(["seek", fraction, done]),
      zoom: (factor, fraction) => meant.push(["zoom", round(factor), round(fraction)]),
      pan: (fraction) => meant.push(["pan", round(fraction)]),
      zoomed: () => zoomed,
    },
    stop.signal,
  );
  const send = (name, x, more = {}) => {
    const event = new Event(name, { cancelable: true });
    Object.assign(event, { clientX: x, button: 0, pointerId: 1, pointerType: "mouse", ...more });
    element.dispatchEvent(event);
    return event;
  };
  return { send, meant, stop };
}

const round = (value) => Math.round(value * 1000) / 1000;
const touch = { pointerType: "touch" };
const second = { pointerType: "touch", pointerId: 2 };

test("a mouse seeks where it is pressed, while it is dragged, and where it is let go", () => {
  const { send, meant } = line();
  send("pointermove", 120);
  send("pointerdown", 150);
  send("pointermove", 200);
  send("pointerup", 220);
  send("pointermove", 250);
  assert.deepEqual(meant, [["seek", 0.25, false], ["seek", 0.5, false], ["seek", 0.6, true]]);
});

test("another button of the mouse does nothing", () => {
  const { send, meant } = line();
  send("pointerdown", 150, { button: 2 });
  send("pointerup", 150, { button: 2 });
  assert.deepEqual(meant, []);
});

test("a tap seeks when the finger is lifted", () => {
  const { send, meant } = line();
  send("pointerdown", 150, touch);
  send("pointermove", 153, touch);
  assert.deepEqual(meant, []);
  send("pointerup", 153, touch);
  assert.deepEqual(meant, [["seek", 0.265, true]]);
});

test("a finger that scrolls the page seeks nothing", () => {
  const { send, meant } = line();
  send("pointerdown", 150, touch);
  send("pointermove", 152, touch);
  send("pointercancel", 152, touch);
  assert.deepEqual(meant, []);
});

test("a finger that moves along the line scrubs", () => {
  const { send, meant } = line();
  send("pointerdown", 150, touch);
  send("pointermove", 160, touch);
  send("pointermove", 200, touch);
  send("pointerup", 200, touch);
  assert.deepEqual(meant, [["seek", 0.3, false], ["seek", 0.5, false], ["seek", 0.5, true]]);
});

test("a drag that the system takes away ends where it was", () => {
  const { send, meant } = line();
  send("pointerdown", 150);
  send("pointermove", 200);
  send("pointercancel", 0);
  assert.deepEqual(meant.at(-1), ["seek", 0.5, true]);
});

test("two fingers zoom and pan, and do not seek", () => {
  const { send, meant } = line();
  send("pointerdown", 150, touch);
  send("pointerdown", 250, second);
  send("pointermove", 300, second);
  assert.deepEqual(meant, [["pan", -0.125], ["zoom", 1.5, 0.625]]);
  send("pointerup", 300, second);
  send("pointermove", 190, touch);
  send("pointerup", 190, touch);
  assert.equal(meant.length, 2);
  // The next finger is a tap again.
  send("pointerdown", 200, touch);
  send("pointerup", 200, touch);
  assert.deepEqual(meant.at(-1), ["seek", 0.5, true]);
});

test("the wheel zooms with ctrl, about the pointer", () => {
  const { send, meant } = line();
  const event = send("wheel", 150, { ctrlKey: true, deltaY: -10, deltaX: 0, deltaMode: 0 });
  assert.ok(event.defaultPrevented, "the page was zoomed, too");
  assert.deepEqual(meant, [["zoom", round(Math.exp(0.1)), 0.25]]);
  // A notch of a mouse is not a hundred steps.
  send("wheel", 150, { ctrlKey: true, deltaY: 400, deltaX: 0, deltaMode: 0 });
  assert.ok(meant.at(-1)[1] > 0.5);
});

test("the wheel scrolls across, and leaves up and down to the page", () => {
  const { send, meant } = line();
  assert.ok(send("wheel", 150, { deltaX: 40, deltaY: 3, deltaMode: 0 }).defaultPrevented);
  assert.ok(send("wheel", 150, { deltaX: 0, deltaY: 2, deltaMode: 1, shiftKey: true }).defaultPrevented);
  assert.deepEqual(meant, [["pan", 0.2], ["pan", 0.16]]);
  assert.ok(!send("wheel", 150, { deltaX: 3, deltaY: 40, deltaMode: 0 }).defaultPrevented);
  const whole = line({ zoomed: false });
  assert.ok(!whole.send("wheel", 150, { deltaX: 40, deltaY: 0, deltaMode: 0 }).defaultPrevented);
  assert.deepEqual(whole.meant, []);
});

test("nothing is heard after the end", () => {
  const { send, meant, stop } = line();
  stop.abort();
  send("pointerdown", 150);
  assert.deepEqual(meant, []);
});
