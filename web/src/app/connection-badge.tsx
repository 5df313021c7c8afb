/** The state of the connection, always visible: the page is only as current as its connection. */
import type { ReactNode } from "react";
import { age } from "../core/text.ts";
import { useNow } from "../state/clock.ts";
import { useFleet } from "../state/context.tsx";
import { useCell } from "../state/store.ts";
import style from "./shell.module.css";

const WORDS = {
  live: { shape: "●", word: "live", hint: "Connected. The page is up to date." },
  behind: { shape: "◌", word: "catching up", hint: "Connected. The page fetches missed events." },
  connecting: { shape: "◌", word: "connecting", hint: "Trying to reach the server." },
  away: {
    shape: "○",
    word: "away",
    hint: "The server does not respond. The page retries by itself, and shows the last known state.",
  },
  denied: { shape: "⊘", word: "login needed", hint: "The server needs a login." },
} as const;

function Since(props: { readonly sinceMs: number }): ReactNode {
  return <> {age(props.sinceMs, useNow())}</>;
}

export function ConnectionBadge(): ReactNode {
  const { hub, caller } = useFleet();
  const { phase: connected, lostMs } = useCell(hub.connection);
  const isKnown = useCell(caller) !== null;
  // Until the page knows its user, it offers no action: it is not complete yet.
  const phase = connected === "live" && !isKnown ? "behind" : connected;
  const { shape, word, hint } = WORDS[phase];
  return (
    <span role="status" className={style.connection} data-phase={phase} title={hint}>
      <span aria-hidden>{shape}</span> {word}
      {phase === "away" && lostMs !== null && <Since sinceMs={lostMs} />}
    </span>
  );
}
