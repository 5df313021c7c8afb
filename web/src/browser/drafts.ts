/** Prompts that are not sent yet, with their files, in IndexedDB: they outlive reloads and crashes of the tab. */

export type DraftFile = { readonly id: string; readonly name: string; readonly mime: string; readonly data: Blob };

export type Draft = {
  readonly text: string;
  readonly files: readonly DraftFile[];
  readonly agent: string | null;
  /** `provider/model`, as the picker has it. */
  readonly model: string | null;
};

export const NO_DRAFT: Draft = { text: "", files: [], agent: null, model: null };

const NAME = "fleet";
const STORE = "drafts";

let opened: Promise<IDBDatabase> | undefined;

function database(): Promise<IDBDatabase> {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

/** Open the store early: a page that is being closed has no time for it. */
export async function openDrafts(): Promise<void> {
  await database().catch(() => undefined); // a browser without storage: drafts last as long as the page
}

export async function readDraft(sessionId: string): Promise<Draft> {
  try {
    const store = (await database()).transaction(STORE).objectStore(STORE);
    return { ...NO_DRAFT, ...((await result(store.get(sessionId))) as Draft | undefined) };
  } catch {
    return NO_DRAFT;
  }
}

let isClosed = false;

/** Save no more drafts until the page is loaded again: their author has logged out. */
export function closeDrafts(): void {
  isClosed = true;
}

/** Remove all drafts. */
export async function clearDrafts(): Promise<void> {
  try {
    await result((await database()).transaction(STORE, "readwrite").objectStore(STORE).clear());
  } catch {
    // likewise
  }
}

/** Save a draft; an empty one is removed. */
export async function writeDraft(sessionId: string, draft: Draft): Promise<void> {
  if (isClosed && !isEmpty(draft)) return;
  try {
    const transaction = (await database()).transaction(STORE, "readwrite");
    const store = transaction.objectStore(STORE);
    if (isEmpty(draft)) store.delete(sessionId);
    else store.put(draft, sessionId);
    transaction.commit();
  } catch {
    // likewise
  }
}

const SWEEP_MAX = 50;
let isSwept = false;

/** Remove the drafts of sessions that are erased: once after each load of the page, a few. */
export async function sweepDrafts(isGone: (sessionId: string) => Promise<boolean>): Promise<void> {
  if (isSwept) return;
  isSwept = true;
  try {
    const store = (await database()).transaction(STORE).objectStore(STORE);
    for (const id of await result(store.getAllKeys(null, SWEEP_MAX)))
      if (await isGone(String(id))) await writeDraft(String(id), NO_DRAFT);
  } catch {
    // likewise
  }
}

function isEmpty(draft: Draft): boolean {
  return draft.text === "" && draft.files.length === 0 && draft.agent === null && draft.model === null;
}

function result<Value>(request: IDBRequest<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
