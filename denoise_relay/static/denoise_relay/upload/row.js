/** The rows of `<denoise-upload>`: one for each file that is sent, from the page's templates. */

import { fill, percentText } from "../format.js";
import { copyOf, part } from "../parts.js";

/** @typedef {import("./queue.js").Upload} Upload */

/**
 * A new row for a file.
 * @param {HTMLElement} element the `<denoise-upload>` with the templates
 * @param {Upload} upload
 * @param {{onCancel: () => void, onAgain: () => void}} on
 */
export function newRow(element, upload, { onCancel, onAgain }) {
  const row = copyOf(element, "upload-row");
  const { name } = upload.file;
  part(row, "upload-name").textContent = name;
  const cancel = part(row, "upload-cancel");
  cancel.setAttribute("aria-label", fill(cancel.dataset.label, { name }));
  cancel.addEventListener("click", onCancel);
  part(row, "upload-again").addEventListener("click", onAgain);
  part(row, "upload-bar").setAttribute("aria-label", name);
  return row;
}

/**
 * Show how far an upload is.
 * @param {HTMLElement} row
 * @param {Upload} upload
 * @param {Record<string, string>} texts
 */
export function showUpload(row, upload, texts) {
  const percent = percentText(upload.pct);
  const text = {
    waiting: texts.waiting,
    sending: fill(texts.sending, { percent }),
    paused: texts.paused,
    checking: texts.checking,
    accepted: texts.accepted,
    rejected: upload.message,
    canceled: "",
  }[upload.state];
  row.dataset.state = upload.state;
  const message = part(row, "upload-message");
  if (upload.state === "rejected") message.setAttribute("role", "alert");
  message.textContent = text;
  const bar = part(row, "upload-bar");
  bar.hidden = upload.state === "rejected";
  bar.setAttribute("aria-valuenow", String(Math.floor(upload.pct)));
  bar.setAttribute("aria-valuetext", text);
  bar.querySelector("progress").value = upload.pct;
  part(row, "upload-cancel").hidden = upload.state === "accepted";
  part(row, "upload-again").hidden = !upload.again;
}

/**
 * A row that shows the job of an accepted file, live.
 * @param {HTMLElement} element the `<denoise-upload>` with the templates
 * @param {Upload} upload
 */
export function jobRow(element, upload) {
  const row = copyOf(element, "job-row");
  /** @type {HTMLElement} */
  const job = row.matches("denoise-job")
    ? row
    : /** @type {HTMLElement} */ (row.querySelector("denoise-job"));
  const { state, links, url, job: id } = /** @type {any} */ (upload.answer);
  Object.assign(job.dataset, {
    job: id,
    seq: String(state.seq),
    stage: state.stage,
    status: state.status,
    pct: String(state.pct),
    socket: links.socket,
    events: links.events,
    statusUrl: links.status,
  });
  const link = part(job, "name");
  link.textContent = upload.file.name;
  link.href = url;
  part(job, "message").textContent = state.message;
  part(job, "bar").setAttribute("aria-label", upload.file.name);
  return row;
}
