/** Follows the presses of the pointer: each lasts from the button's press until its click has been delivered. */

/** A touch is delivered as a click shortly after the finger is lifted, in ms. */
const CLICK_MS = 100;

/** Call `began` when a press begins and `ended` when it is over. */
export function listenToPresses(began: () => void, ended: () => void): void {
  let isDown = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const up = (): void => {
    if (!isDown) return;
    isDown = false;
    timer = setTimeout(ended, CLICK_MS);
  };
  const down = (event: PointerEvent): void => {
    if (event.button !== 0 || isSlider(event.target)) return;
    clearTimeout(timer);
    isDown = true;
    began();
  };
  addEventListener("pointerdown", down, true);
  addEventListener("pointerup", up, true);
  addEventListener("pointercancel", up, true);
  // The release is not delivered where it happens outside of the window, or on a scroll bar.
  addEventListener("blur", up);
  addEventListener("pointermove", event => event.buttons === 0 && up(), true);
}

/** Whether a press drags a slider: what it changes has to be seen meanwhile. */
function isSlider(target: EventTarget | null): boolean {
  return target instanceof HTMLInputElement && target.type === "range";
}
