/** What is certainly no recording: not worth sending 200 MB to hear it from the server. */

const OTHERS =
  /^(text|image|font|model|message)\/|^application\/(pdf|zip|gzip|json|xml|rtf|msword|x-msdownload|vnd\.(ms-|oasis|openxml))/;

/**
 * Whether a file may be a recording. Its content decides, which the server reads; names and types
 * are hints, and a phone may give neither.
 * @param {{name: string, type: string}} file
 * @param {string[]} known extensions of recordings, in lower case
 */
export function mayBeRecording(file, known) {
  const extension = file.name.toLowerCase().split(".").slice(1).pop() ?? "";
  return known.includes(extension) || !OTHERS.test(file.type);
}
