/** Asks the diff worker. The page has one worker, which starts with the first request. */
import type { Compared } from "../core/line-diff.ts";
import type { PatchFile } from "../core/patch.ts";
import { startWorker } from "./trusted-types.ts";
import type { CompareRequest } from "./workers/diff.ts";
import address from "./workers/diff.ts?worker&url";

type FromWorker = { readonly id: number; readonly result?: unknown; readonly failure?: string };
type Waiting = { readonly resolve: (result: unknown) => void; readonly reject: (error: Error) => void };

const waiting = new Map<number, Waiting>();
let worker: Worker | null = null;
let count = 0;

function start(): Worker {
  const started = startWorker(new URL(address, location.href));
  started.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    const { resolve, reject } = waiting.get(data.id) ?? {};
    waiting.delete(data.id);
    if (data.failure === undefined) resolve?.(data.result);
    else reject?.(new Error(data.failure));
  };
  started.onerror = () => {
    for (const { reject } of waiting.values()) reject(new Error("the worker that compares texts has failed"));
    waiting.clear();
    worker = null;
  };
  return started;
}

function ask<Result>(request: CompareRequest): Promise<Result> {
  worker ??= start();
  count += 1;
  const id = count;
  worker.postMessage({ ...request, id });
  return new Promise((resolve, reject) => waiting.set(id, { resolve: resolve as (result: unknown) => void, reject }));
}

export type Sides = Pick<CompareRequest, "before" | "after" | "isCut">;

/** Compare two contents; null is a side that does not exist. */
export function compareContents(sides: Sides, ignoreBlanks: boolean): Promise<Compared> {
  return ask({ ...sides, ignoreBlanks, patch: null });
}

/** Return the part of a patch that is about one file; null if its text is not UTF-8, which a patch here cannot contain. */
export function patchContents(sides: Sides, patch: PatchFile): Promise<string | null> {
  return ask({ ...sides, ignoreBlanks: false, patch });
}
