/** Whether a card is open. The reader's choice holds, even if the row was unmounted in between. */
import { useState } from "react";
import { useOpen } from "../open.tsx";

export function useOpened(key: string, byDefault: boolean): readonly [boolean, () => void] {
  const { transcript } = useOpen();
  const [, again] = useState(0);
  // A card never closes by itself: its first state holds until the reader changes it.
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
