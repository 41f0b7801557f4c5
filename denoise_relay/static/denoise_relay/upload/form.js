/** Sends one file as the form would, in one POST, and asks for JSON. */

import { parsed } from "./json.js";

/**
 * @param {string} url
 * @param {Record<string, string>} always sent along: the CSRF token
 * @returns {import("./queue.js").Send}
 */
export function formSender(url, always, open = () => new XMLHttpRequest()) {
  return (file, { progress }, fields) => {
    // fetch() still cannot report how much of a body was sent.
    const request = open();
    /** @type {Promise<import("./queue.js").Answer>} */
    const answer = new Promise((resolve, reject) => {
      request.upload.onprogress = (event) => {
        if (event.lengthComputable) progress((event.loaded / event.total) * 100);
      };
      request.onload = () => resolve({ status: request.status, body: parsed(request.responseText) });
      request.onerror = () => reject(new Error("network"));
      request.ontimeout = () => reject(new Error("timeout"));
      request.onabort = () => reject(new Error("aborted"));
    });
    const form = new FormData();
    for (const [name, value] of Object.entries({ ...always, ...fields })) form.append(name, value);
    form.append("audio", file, file.name);
    request.open("POST", url);
    request.setRequestHeader("Accept", "application/json");
    request.send(form);
    return { abort: () => request.abort(), answer };
  };
}
