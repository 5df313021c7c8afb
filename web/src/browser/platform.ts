/** The kind of device that shows the page. */

export const isMac = /Mac|iPhone|iPad/.test(navigator.platform);

/** Whether the main pointer is a finger: Enter then makes a new line. */
export function isCoarse(): boolean {
  return matchMedia("(pointer: coarse)").matches;
}
