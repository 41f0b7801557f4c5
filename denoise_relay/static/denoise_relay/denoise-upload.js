/**
 * `<denoise-upload>`: around the upload form. Files are sent as soon as they are chosen or
 * dropped, each with a row of its own; without this script the form posts as forms do.
 */

import { part } from "./parts.js";
import { formSender } from "./upload/form.js";
import { numbered } from "./upload/form_tokens.js";
import { UploadQueue } from "./upload/queue.js";
import { mayBeRecording } from "./upload/recording.js";
import { jobRow, newRow, showUpload } from "./upload/row.js";
import { resumable } from "./upload/tus.js";

/** @typedef {import("./upload/queue.js").Upload} Upload */

export class DenoiseUpload extends HTMLElement {
  /** @type {UploadQueue|null} */
  #queue = null;
  /** @type {Record<string, string>} */
  #texts = {};
  /** The form token of the next file. */
  #nextToken = () => "";
  /** @type {Map<Upload, HTMLElement>} */
  #rows = new Map();
  /** @type {AbortController|null} */
  #listeners = null;
  /** Files of this visit to the page: a single one leads to its job's page. */
  #count = 0;

  connectedCallback() {
    const form = this.querySelector("form");
    if (this.#listeners !== null || !form) return;
    this.#texts = JSON.parse(this.dataset.texts ?? "{}");
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    /** @type {HTMLInputElement|null} */
    const csrf = form.querySelector('[name="csrfmiddlewaretoken"]');
    const token = csrf?.value ?? "";
    /** @type {HTMLInputElement|null} */
    const formToken = form.querySelector('[name="form_token"]');
    this.#nextToken = numbered(formToken?.value ?? "");
    const send = resumable({
      url: this.dataset.tus ?? "",
      page: form.action,
      token,
      largestPart: Number(this.dataset.partBytes),
      form: formSender(form.action, { csrfmiddlewaretoken: token }),
    });
    this.#queue = new UploadQueue({
      send,
      onChange: (upload) => this.#show(upload),
      onIdle: () => this.#idle(),
      texts: this.#texts,
    });
    this.#input.addEventListener("change", () => this.#addChosen(), { signal });
    form.addEventListener("submit", (event) => this.#submit(event), { signal });
    this.#acceptDrops(signal);
    // Back from the job's page: the cached page has neither the job nor an empty form.
    const reload = (/** @type {PageTransitionEvent} */ event) =>
      event.persisted && this.#rows.size > 0 && location.reload();
    window.addEventListener("pageshow", reload, { signal });
    // Browsers restore chosen files after Back; sent once is enough.
    this.#input.value = "";
  }

  disconnectedCallback() {
    this.#listeners?.abort();
    this.#listeners = null;
  }

  get #input() {
    return /** @type {HTMLInputElement} */ (this.querySelector('input[type="file"]'));
  }

  /** @param {Event} event */
  #submit(event) {
    event.preventDefault();
    if (this.#input.files?.length) this.#addChosen();
    else if (!this.#queue?.busy) {
      this.#showError(this.#texts.required);
      this.#input.focus();
    }
  }

  #addChosen() {
    const files = [...(this.#input.files ?? [])];
    this.#input.value = "";
    this.#add(files);
  }

  /** @param {AbortSignal} signal */
  #acceptDrops(signal) {
    const zone = part(this, "zone");
    const hover = (/** @type {boolean} */ on) => () => {
      zone.dataset.over = String(on);
    };
    for (const name of ["dragenter", "dragover"]) {
      this.addEventListener(name, (event) => event.preventDefault(), { signal });
      this.addEventListener(name, hover(true), { signal });
    }
    for (const name of ["dragleave", "dragend", "drop"]) {
      this.addEventListener(name, hover(false), { signal });
    }
    this.addEventListener(
      "drop",
      (event) => {
        event.preventDefault();
        this.#add([...(event.dataTransfer?.files ?? [])]);
      },
      { signal },
    );
  }

  /** @param {File[]} files */
  #add(files) {
    if (files.length === 0) return;
    this.#showError("");
    this.#count += files.length;
    const fields = this.#chosenFields();
    for (const file of files) {
      const own = { ...fields, form_token: this.#nextToken() };
      this.#queue?.add(file, this.#objection(file), own);
    }
  }

  /**
   * What the person has chosen for the files that are added now: a preset, where there are some,
   * whether to try 30 seconds first, and options.
   * @returns {Record<string, string>}
   */
  #chosenFields() {
    /** @type {NodeListOf<HTMLInputElement|HTMLSelectElement>} */
    const chosen = this.querySelectorAll('[name="preset"]:checked, [name="excerpt"]:checked, select');
    return Object.fromEntries([...chosen].map((input) => [input.name, input.value]));
  }

  /**
   * Why the server would refuse a file; "" when it may be sent. 200 MB take a while to send.
   * @param {File} file
   */
  #objection(file) {
    const limit = Number(this.dataset.maxBytes);
    if (file.size === 0) return this.#texts.empty;
    if (limit > 0 && file.size > limit) return this.#texts.tooLarge;
    const known = (this.dataset.extensions ?? "").split(" ").filter(Boolean);
    return mayBeRecording(file, known) ? "" : this.#texts.unsupported;
  }

  /** @param {string} text "" hides it */
  #showError(text) {
    const error = part(this, "error");
    error.textContent = text;
    error.hidden = text === "";
    this.#input.setAttribute("aria-invalid", String(text !== ""));
  }

  #idle() {
    const uploads = [...this.#rows.keys()];
    const accepted = uploads.filter((upload) => upload.state === "accepted");
    const rejected = uploads.filter((upload) => upload.state === "rejected");
    if (this.#count === 1 && accepted.length === 1) location.assign(accepted[0].answer?.url ?? "");
    // A single refused file needs no row: the reason stands at the field, as without the script.
    else if (this.#count === 1 && rejected.length === 1 && !rejected[0].again) {
      this.#showError(rejected[0].message);
      this.#remove(rejected[0]);
    }
    if (uploads.length === 0) this.#count = 0;
  }

  /** @param {Upload} upload */
  #show(upload) {
    if (upload.state === "canceled") {
      this.#remove(upload);
      return;
    }
    const row = this.#rows.get(upload) ?? this.#addRow(upload);
    showUpload(row, upload, this.#texts);
    if (upload.state === "accepted" && this.#count > 1) {
      row.replaceWith(jobRow(this, upload));
      this.#rows.delete(upload);
    }
  }

  /** @param {Upload} upload */
  #addRow(upload) {
    const row = newRow(this, upload, {
      onCancel: () => {
        this.#queue?.cancel(upload);
        this.#input.focus();
      },
      onAgain: () => this.#queue?.retry(upload),
    });
    this.#rows.set(upload, row);
    const list = part(this, "uploads");
    list.append(row);
    list.hidden = false;
    return row;
  }

  /** @param {Upload} upload */
  #remove(upload) {
    this.#rows.get(upload)?.remove();
    this.#rows.delete(upload);
    this.#count -= 1;
  }
}
