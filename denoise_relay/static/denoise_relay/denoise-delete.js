/**
 * `<denoise-delete>`: asks in a dialog, which the browser keeps the focus in and closes with
 * Escape. Without this script, or without dialogs, the button leads to a page that asks the same.
 */

import { part } from "./parts.js";

export class DenoiseDelete extends HTMLElement {
  /** @type {AbortController|null} */
  #listeners = null;

  connectedCallback() {
    /** @type {HTMLDialogElement|null} */
    const dialog = part(this, "dialog");
    if (this.#listeners !== null || typeof dialog?.showModal !== "function") return;
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    const instead = (/** @type {() => void} */ act) => (/** @type {Event} */ event) => {
      event.preventDefault();
      act();
    };
    part(this, "ask").addEventListener("click", instead(() => dialog.showModal()), { signal });
    part(this, "keep").addEventListener("submit", instead(() => dialog.close()), { signal });
    // Pressed twice, the second request would find nothing.
    let sent = false;
    part(this, "delete").addEventListener(
      "submit",
      (/** @type {Event} */ event) => {
        if (sent) event.preventDefault();
        sent = true;
      },
      { signal },
    );
  }

  disconnectedCallback() {
    this.#listeners?.abort();
    this.#listeners = null;
  }
}
