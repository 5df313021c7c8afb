/** Fetches the complete content of parts that the server has truncated. */
import { useEffect, useState } from "react";
import { line } from "../../../state/trouble.ts";
import { sayError } from "../../../ui/toast.tsx";
import type { Part } from "../../../wire/opencode.ts";
import { useOpen } from "../open.tsx";

/** Fetch the complete content of a visible part. */
export function useWhole(part: Part): void {
  const { transcript } = useOpen();
  const { id, isCut } = part;
  useEffect(() => {
    if (isCut) transcript.loadPart(id).catch(() => undefined); // its beginning stays
  }, [transcript, id, isCut]);
}

/** Return the function that fetches a part's complete content, and whether it is being fetched. */
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
