/** The settings of the page's list and its address, which are kept equal: every view is a link. */
import { useNavigate, useRouterState, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import { useCell } from "../../state/store.ts";
import { keepLook, type Look, lastLook, searchOf } from "./view.ts";

/** The address changes after a pause, because browsers refuse changes at every key. The list changes at once. */
const TYPING_MS = 200;

/** Return the settings and the function that changes them. A setting that the address does not have keeps its last value. */
export function useLook(): readonly [Look, (look: Look) => void] {
  const search = useSearch({ strict: false }) as Partial<Look>;
  const last = useCell(lastLook);
  const navigate = useNavigate();
  // The dialog of a new session has an address of its own; the list behind it stays as it was.
  const isBehind = useRouterState({ select: state => state.location.pathname === "/new" });
  const { group = last.group, sort = last.sort } = search;
  const told = search.q ?? (isBehind ? last.q : "");
  const [q, setQuery] = useState(told);
  /** The filter that this page has put into the address. A different one came from outside, such as by the Back button. */
  const known = useRef(told);
  const look = useMemo(() => ({ q, group, sort }), [q, group, sort]);

  const write = (next: Look): void => {
    known.current = next.q;
    void navigate({ to: "/", search: searchOf(next), replace: true });
  };
  useEffect(() => keepLook(look), [look]);
  useEffect(() => {
    if (told === known.current) return;
    known.current = told;
    setQuery(told);
  }, [told]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only what is typed waits
  useEffect(() => {
    if (q === known.current) return;
    const timer = setTimeout(() => write(look), TYPING_MS);
    return () => clearTimeout(timer);
  }, [q]);
  const setLook = (next: Look): void => {
    setQuery(next.q);
    if (next.group !== group || next.sort !== sort) write(next);
  };
  return [look, setLook];
}
