/**
 * Keeps the end of a transcript visible while the reader wants to follow it.
 *
 * The reader's input decides, not the distance: turning the wheel up, dragging, or a key upwards ends it at once, however
 * near the end is; growth of a text or of the composer never does. Scrolling to the end starts it again.
 */
import { type RefObject, useCallback, useEffect, useRef, useState } from "react";

/** Browsers round scroll positions; the end is reached within so many pixels. */
const AT_END_PX = 4;
const KEYS_UP = /^(?:ArrowUp|PageUp|Home)$/;
const KEYS = /^(?:ArrowUp|PageUp|Home|ArrowDown|PageDown|End| )$/;

export type Follow = {
  readonly isFollowing: boolean;
  /** Go to the end and follow. */
  readonly toEnd: () => void;
  /** Stop following: the reader scrolls elsewhere. */
  readonly stop: () => void;
};

/** `canFollow`: the last row that is loaded is the end of the transcript. */
export function useFollow(
  scroller: RefObject<HTMLElement | null>,
  content: RefObject<HTMLElement | null>,
  canFollow: boolean,
): Follow {
  const [isFollowing, setFollowing] = useState(true);
  const intent = useRef(true);
  const last = useRef(0);

  const set = useCallback((value: boolean) => {
    intent.current = value;
    setFollowing(value);
  }, []);

  const stick = useCallback(() => {
    const box = scroller.current;
    if (box === null || !intent.current) return;
    box.scrollTop = box.scrollHeight;
    last.current = box.scrollTop;
  }, [scroller]);

  const toEnd = useCallback(() => {
    set(true);
    stick();
  }, [set, stick]);

  const stop = useCallback(() => set(false), [set]);

  useEffect(() => {
    const box = scroller.current;
    const inner = content.current;
    if (box === null || inner === null) return;
    const sizes = new ResizeObserver(stick);
    sizes.observe(box);
    sizes.observe(inner);
    return () => sizes.disconnect();
  }, [scroller, content, stick]);

  useEffect(() => {
    const box = scroller.current;
    if (box === null) return;
    let touchY = 0;
    // Whether the reader's last input was downwards: scrolling by the page itself never begins to follow.
    let leadsDown = false;
    const lead = (isUp: boolean) => {
      leadsDown = !isUp;
      if (isUp && box.scrollHeight > box.clientHeight) set(false);
    };
    const wheel = (event: WheelEvent) => event.deltaY !== 0 && lead(event.deltaY < 0);
    const key = (event: KeyboardEvent) =>
      !isField(event.target) && KEYS.test(event.key) && lead(KEYS_UP.test(event.key));
    const touchStart = (event: TouchEvent) => {
      touchY = event.touches[0]?.clientY ?? 0;
    };
    const touchMove = (event: TouchEvent) => {
      const y = event.touches[0]?.clientY ?? 0;
      if (y !== touchY) lead(y > touchY);
      touchY = y;
    };
    const press = (event: PointerEvent) => {
      // The scroll bar is no element. A press beside the content is on the scroll bar, which may scroll anywhere.
      if (event.target === box && event.offsetX >= box.clientWidth) leadsDown = true;
    };
    const scroll = () => {
      const distance = box.scrollHeight - box.clientHeight - box.scrollTop;
      const moved = box.scrollTop - last.current;
      last.current = box.scrollTop;
      if (moved < 0 && distance > AT_END_PX) set(false);
      else if (moved > 0 && distance <= AT_END_PX && leadsDown && canFollow) set(true);
    };
    const events = [
      ["wheel", wheel],
      ["keydown", key],
      ["touchstart", touchStart],
      ["touchmove", touchMove],
      ["pointerdown", press],
      ["scroll", scroll],
    ] as const;
    for (const [name, listener] of events) box.addEventListener(name, listener as EventListener, { passive: true });
    return () => {
      for (const [name, listener] of events) box.removeEventListener(name, listener as EventListener);
    };
  }, [scroller, set, canFollow]);

  return { isFollowing, toEnd, stop };
}

function isField(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && /^(?:input|textarea|select)$/i.test(target.tagName);
}
