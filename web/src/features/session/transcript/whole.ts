/** Fetches what the server has cut of a part. */
import { useEffect, useState } from "react";
import { line } from "../../../state/trouble.ts";
import { sayError } from "../../../ui/toast.tsx";
import type { Part } from "../../../wire/opencode.ts";
import { useOpen } from "../open.tsx";

/** Fetch the whole of a part that is in sight. */
export function useWhole(part: Part): void {
  const { transcript } = useOpen();
  const { id, isCut } = part;
  useEffect(() => {
    if (isCut) transcript.loadPart(id).catch(() => undefined); // its beginning stays
  }, [transcript, id, isCut]);
}

/** Return what fetches the whole of a part when it is wanted, and whether it is on its way. */
export function useFetchWhole(part: Part): readonly [boolean, () => void] {
  const { transcript } = useOpen();
  const [isFetching, setFetching] = useState(false);
  async function fetchIt(): Promise<void> {
    setFetching(true);
    try {
      await transcript.loadPart(part.id);
    } catch (error) {
      sayError("The rest cannot be shown", line(error));
    } finally {
      setFetching(false);
    }
  }
  return [isFetching, () => void fetchIt()];
}
