/** Whether a card is open: what the reader chose holds, also where the row was away in between. */
import { useState } from "react";
import { useOpen } from "../open.tsx";

export function useOpened(key: string, byDefault: boolean): readonly [boolean, () => void] {
  const { transcript } = useOpen();
  const [, again] = useState(0);
  // A card never closes by itself: what it was first holds, whatever comes after.
  if (!transcript.opened.has(key)) transcript.opened.set(key, byDefault);
  const isOpen = transcript.opened.get(key) ?? byDefault;
  return [
    isOpen,
    () => {
      transcript.opened.set(key, !isOpen);
      again(count => count + 1);
    },
  ];
}
