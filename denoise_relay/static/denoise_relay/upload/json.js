/** @param {string} text */
export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // a proxy's error page, or nothing
  }
}
