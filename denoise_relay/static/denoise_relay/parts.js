/** Finds the parts of an element by `data-part`, the hook that templates and sites rely on. */

/**
 * The first such part below `root`, or null.
 * @param {ParentNode} root
 * @param {string} name
 * @returns {any} of the kind that the template gives it, so that callers need no cast
 */
export function part(root, name) {
  return root.querySelector(`[data-part="${name}"]`);
}

/**
 * A copy of the first element in a `<template>` below `root`.
 * @param {ParentNode} root
 * @param {string} name the template's `data-part`
 * @returns {HTMLElement}
 */
export function copyOf(root, name) {
  return part(root, name).content.cloneNode(true).firstElementChild;
}
