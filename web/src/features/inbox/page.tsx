/** The inbox: everything that waits for a person, in all sessions, answered in place. Keys act on one card. */
import { useNavigate } from "@tanstack/react-router";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { counted } from "../../core/text.ts";
import { useActions } from "../../state/actions.ts";
import { useFleet } from "../../state/context.tsx";
import { useCell } from "../../state/store.ts";
import { Empty, Loading } from "../../ui/states.tsx";
import { useHeldItems } from "../../widgets/held-items.ts";
import type { InboxItem } from "../../wire/types.ts";
import { Card } from "./card.tsx";
import style from "./inbox.module.css";
import { NotifySwitch } from "./notify-switch.tsx";

/** A card that got the focus by itself takes no keys for this time, in ms: they were meant for the one before. */
const SETTLE_MS = 500;

type Focused = {
  readonly id: string | null;
  /** Whether keys act on it. */
  readonly hasKeys: boolean;
  readonly move: (by: number) => void;
  readonly focus: (id: string) => void;
};

/** Return the card that has the focus: the chosen one while it exists, otherwise the one in its place. */
function useFocused(items: readonly InboxItem[]): Focused {
  const [chosen, choose] = useState<{ readonly id: string; readonly index: number }>({ id: "", index: 0 });
  const found = items.findIndex(item => item.id === chosen.id);
  const index = found >= 0 ? found : Math.min(chosen.index, items.length - 1);
  const focused = items[index]?.id ?? null;
  useEffect(() => {
    if (focused !== null && (focused !== chosen.id || index !== chosen.index)) choose({ id: focused, index });
  }, [focused, index, chosen]);
  const [settled, settle] = useState<string | null>(null);
  useEffect(() => {
    const timer = setTimeout(() => settle(focused), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [focused]);
  const focus = (id: string) => {
    choose({ id, index: items.findIndex(item => item.id === id) });
    if (id !== focused) settle(id);
  };
  const move = (by: number) => {
    const next = items[Math.max(0, Math.min(items.length - 1, index + by))];
    if (next) focus(next.id);
  };
  return { id: focused, hasKeys: focused !== null && focused === settled, move, focus };
}

export function InboxPage(): ReactNode {
  const { inbox } = useFleet();
  const items = useCell(inbox.items);
  const isLoaded = useCell(inbox.isLoaded);
  const { id: focused, hasKeys, move, focus } = useFocused(items);
  const [shown, listeners] = useHeldItems(items);
  const isHeld = useRef(false);
  isHeld.current = shown.some(each => each.isGone);
  const list = useRef<HTMLUListElement>(null);
  const navigate = useNavigate();
  const open = items.find(item => item.id === focused)?.sessionId ?? null;

  useActions([
    { id: "request.down", label: "Next card", run: () => move(1) },
    { id: "request.up", label: "Previous card", run: () => move(-1) },
    open !== null && {
      id: "request.open",
      label: "Open the session",
      run: () => void navigate({ to: "/s/$id", params: { id: open } }),
    },
  ]);

  // The focus follows the current card, unless the person is writing in a card.
  useEffect(() => {
    const card = list.current?.querySelector<HTMLElement>("[data-focused=true]");
    const active = document.activeElement;
    const isBusy = active instanceof HTMLInputElement || active instanceof HTMLTextAreaElement;
    if (focused !== null && card && !isBusy && !card.contains(active)) card.focus({ preventScroll: isHeld.current });
  }, [focused]);

  return (
    <div className={style.page}>
      <div className={style.head}>
        <h1>Inbox</h1>
        <span className={style.count}>{items.length > 0 && counted(items.length, "item waits", "items wait")}</span>
        <NotifySwitch />
      </div>
      {!isLoaded && <Loading what="the inbox" />}
      {isLoaded && shown.length === 0 && (
        <Empty>
          Nothing waits for you. Permissions, questions, failures and used-up budgets of all sessions come here.
        </Empty>
      )}
      <ul ref={list} className={style.list} aria-label="What waits for you" {...listeners}>
        {shown.map(({ item, isGone }) => (
          <Card
            key={item.id}
            item={item}
            isGone={isGone}
            isFocused={item.id === focused}
            hasKeys={hasKeys && item.id === focused}
            onFocus={() => focus(item.id)}
          />
        ))}
      </ul>
    </div>
  );
}
