/**
 * The page has one form token, and sends each file in a form of its own: a token for each. A file
 * that is sent again keeps its own, so that it makes one job; the same file, added once more, gets
 * another one. Pure.
 * @param {string} token the page's; "" where its template has none
 * @returns {() => string} the token of the next file
 */
export function numbered(token) {
  let files = 0;
  return () => {
    files += 1;
    return token && `${token}-${files}`;
  };
}
