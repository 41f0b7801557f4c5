/**
 * `<denoise-upload>`: around the upload form. Files are sent as soon as they are chosen or
 * dropped, each with a row of its own; without this script the form posts as forms do.
 */

import { fill, percentText } from "./words.js";
import { sender, UploadQueue } from "./queue.js";
import { resumable } from "./tus.js";

export class DenoiseUpload extends HTMLElement {
  #queue = null;
  #texts = {};
  #rows = new Map();
  #listeners = null;
  /** Files of this visit to the page: a single one leads to its job's page. */
  #count = 0;

  connectedCallback() {
    const form = this.querySelector("form");
    if (this.#listeners !== null || !form) return;
    this.#texts = JSON.parse(this.dataset.texts);
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    const token = form.querySelector('[name="csrfmiddlewaretoken"]')?.value ?? "";
    const send = resumable({
      url: this.dataset.tus,
      page: form.action,
      token,
      largestPart: Number(this.dataset.partBytes),
      form: sender(form.action, { csrfmiddlewaretoken: token }),
    });
    this.#queue = new UploadQueue({
      send,
      onChange: (upload) => this.#show(upload),
      onIdle: () => this.#idle(),
      texts: this.#texts,
    });
    this.#input.addEventListener("change", () => this.#take(), { signal });
    form.addEventListener("submit", (event) => this.#submit(event), { signal });
    this.#acceptDrops(signal);
    // Back from the job's page: what is kept in the cache has neither the job nor a free form.
    const again = (event) => event.persisted && this.#rows.size > 0 && location.reload();
    window.addEventListener("pageshow", again, { signal });
    // Browsers restore chosen files after Back; sent once is enough.
    this.#input.value = "";
  }

  disconnectedCallback() {
    this.#listeners?.abort();
    this.#listeners = null;
  }

  get #input() {
    return this.querySelector('input[type="file"]');
  }

  #submit(event) {
    event.preventDefault();
    if (this.#input.files.length > 0) this.#take();
    else if (!this.#queue.busy) {
      this.#complain(this.#texts.required);
      this.#input.focus();
    }
  }

  #take() {
    const files = [...this.#input.files];
    this.#input.value = "";
    this.#add(files);
  }

  #acceptDrops(signal) {
    const zone = this.querySelector('[data-part="zone"]');
    const hover = (on) => () => {
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

  #add(files) {
    if (files.length === 0) return;
    this.#complain("");
    this.#count += files.length;
    for (const file of files) this.#queue.add(file, this.#objection(file));
  }

  /** What the server would refuse anyway is not sent first: 200 MB take a while. */
  #objection(file) {
    const limit = Number(this.dataset.maxBytes);
    if (file.size === 0) return this.#texts.empty;
    if (limit > 0 && file.size > limit) return this.#texts.tooLarge;
    const extension = file.name.toLowerCase().split(".").slice(1).pop() ?? "";
    const known = (this.dataset.extensions ?? "").split(" ").filter(Boolean);
    return known.length > 0 && !known.includes(extension) ? this.#texts.unsupported : "";
  }

  #complain(words) {
    const place = this.querySelector('[data-part="error"]');
    place.textContent = words;
    place.hidden = words === "";
    this.#input.setAttribute("aria-invalid", String(words !== ""));
  }

  #idle() {
    const uploads = [...this.#rows.keys()];
    const accepted = uploads.filter((upload) => upload.state === "accepted");
    const rejected = uploads.filter((upload) => upload.state === "rejected");
    if (this.#count === 1 && accepted.length === 1) location.assign(accepted[0].answer.url);
    // A single refused file needs no row: the words stand at the field, as without the script.
    else if (this.#count === 1 && rejected.length === 1 && !rejected[0].again) {
      this.#complain(rejected[0].message);
      this.#remove(rejected[0]);
    }
    if (uploads.length === 0) this.#count = 0;
  }

  #show(upload) {
    if (upload.state === "canceled") {
      this.#remove(upload);
      return;
    }
    const row = this.#rows.get(upload) ?? this.#newRow(upload);
    const part = (name) => row.querySelector(`[data-part="${name}"]`);
    const percent = percentText(upload.pct);
    const words = {
      waiting: this.#texts.waiting,
      sending: fill(this.#texts.sending, { percent }),
      paused: this.#texts.paused,
      checking: this.#texts.checking,
      accepted: this.#texts.accepted,
      rejected: upload.message,
    }[upload.state];
    row.dataset.state = upload.state;
    if (upload.state === "rejected") part("upload-message").setAttribute("role", "alert");
    part("upload-message").textContent = words;
    const bar = part("upload-bar");
    bar.hidden = upload.state === "rejected";
    bar.setAttribute("aria-valuenow", String(Math.floor(upload.pct)));
    bar.setAttribute("aria-valuetext", words);
    bar.querySelector("progress").value = upload.pct;
    part("upload-cancel").hidden = upload.state === "accepted";
    part("upload-again").hidden = !upload.again;
    if (upload.state === "accepted" && this.#count > 1) this.#follow(upload, row);
  }

  #newRow(upload) {
    const template = this.querySelector('template[data-part="upload-row"]');
    const row = template.content.cloneNode(true).firstElementChild;
    row.querySelector('[data-part="upload-name"]').textContent = upload.file.name;
    const cancel = row.querySelector('[data-part="upload-cancel"]');
    cancel.setAttribute("aria-label", fill(cancel.dataset.label, { name: upload.file.name }));
    cancel.addEventListener("click", () => {
      this.#queue.cancel(upload);
      this.#input.focus();
    });
    row
      .querySelector('[data-part="upload-again"]')
      .addEventListener("click", () => this.#queue.retry(upload));
    row.querySelector('[data-part="upload-bar"]').setAttribute("aria-label", upload.file.name);
    this.#rows.set(upload, row);
    const list = this.querySelector('[data-part="uploads"]');
    list.append(row);
    list.hidden = false;
    return row;
  }

  #remove(upload) {
    this.#rows.get(upload)?.remove();
    this.#rows.delete(upload);
    this.#count -= 1;
  }

  /** From here on the row shows the job itself, live. */
  #follow(upload, row) {
    const template = this.querySelector('template[data-part="job-row"]');
    const follower = template.content.cloneNode(true).firstElementChild;
    const job = follower.matches("denoise-job") ? follower : follower.querySelector("denoise-job");
    const { state, links, url } = upload.answer;
    Object.assign(job.dataset, {
      job: upload.answer.job,
      seq: String(state.seq),
      stage: state.stage,
      status: state.status,
      pct: String(state.pct),
      socket: links.socket,
      events: links.events,
      statusUrl: links.status,
    });
    const link = job.querySelector('[data-part="name"]');
    link.textContent = upload.file.name;
    link.href = url;
    job.querySelector('[data-part="message"]').textContent = state.message;
    job.querySelector('[data-part="bar"]').setAttribute("aria-label", upload.file.name);
    row.replaceWith(follower);
    this.#rows.delete(upload);
  }
}
