/** Work on many things, a few at a time. */

/** The outcome for one id: `refused` says why it failed, null if it succeeded. */
export type Outcome = { readonly id: string; readonly refused: string | null };

/**
 * Work on each, at most `width` at a time, and return all outcomes in the order of the ids. A refusal does not stop the others.
 * `words` turns an error into a text.
 */
export async function forEach(
  ids: readonly string[],
  width: number,
  work: (id: string) => Promise<void>,
  words: (error: unknown) => string,
  onDone: (done: number) => void = () => undefined,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  let next = 0;
  let done = 0;
  async function worker(): Promise<void> {
    while (next < ids.length) {
      const index = next;
      next += 1;
      const id = ids[index] as string;
      outcomes[index] = { id, refused: await refusalOf(work(id), words) };
      done += 1;
      onDone(done);
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, ids.length) }, worker));
  return outcomes;
}

async function refusalOf(work: Promise<void>, words: (error: unknown) => string): Promise<string | null> {
  try {
    await work;
    return null;
  } catch (error) {
    return words(error);
  }
}
