/** Announces to screen readers the end of a turn, and at once that the session needs a person; silent while text arrives. */
import { type ReactNode, useEffect, useRef, useState } from "react";
import { useOpen } from "../open.tsx";
import { outcomeOf } from "./turn-end.tsx";

export function Announcer(): ReactNode {
  const { item, at } = useOpen();
  const [said, say] = useState("");
  const ended = item.lastTurn?.endedAt ?? null;
  const before = useRef(ended);
  const { number, outcome } = item.lastTurn ?? { number: 0, outcome: null };
  useEffect(() => {
    if (before.current === ended) return;
    before.current = ended;
    if (ended !== null && at === null) say(`Turn ${number} ${outcomeOf(outcome).word}`);
  }, [ended, number, outcome, at]);
  return (
    <>
      <div className="visually-hidden" role="status">
        {said}
      </div>
      <div className="visually-hidden" role="alert">
        {at === null && item.openRequests > 0 ? "The session needs you" : ""}
      </div>
    </>
  );
}
