/** One entry of the inbox: its session, its question, and its actions. */
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { baseName, oneLine, plain } from "../../core/text.ts";
import { useMayChange } from "../../state/context.tsx";
import { cx } from "../../ui/cx.ts";
import { type Look, Mark } from "../../ui/mark.tsx";
import { Age } from "../../widgets/age.tsx";
import { Boundary } from "../../widgets/boundary.tsx";
import { RequestForm } from "../../widgets/request-form.tsx";
import { SetupActs, SetupCommands } from "../../widgets/setup-acts.tsx";
import type { InboxItem } from "../../wire/types.ts";
import { BudgetActs, CallbackActs, DelayActs, FailureActs, WebhookActs } from "./acts.tsx";
import style from "./inbox.module.css";

const LOOKS: Readonly<Record<InboxItem["kind"], Look>> = {
  permission: { shape: "◐", word: "permission", tone: "needs" },
  question: { shape: "?", word: "question", tone: "needs" },
  failure: { shape: "✕", word: "failure", tone: "error" },
  budget: { shape: "$", word: "budget used", tone: "needs" },
  callback: { shape: "↩", word: "callback not delivered", tone: "away" },
  setup: { shape: "◐", word: "set-up", tone: "needs" },
  delay: { shape: "◷", word: "no progress", tone: "needs" },
  webhook: { shape: "⇥", word: "webhook disabled", tone: "away" },
};

const GONE: Look = { shape: "–", word: "no longer waits", tone: "done" };

function Where({ item }: { readonly item: InboxItem }): ReactNode {
  const { context } = item;
  const place =
    context && [baseName(context.repository ?? context.directory), context.branch].filter(Boolean).join(" · ");
  return <span className={style.where}>{place && oneLine(place, 120)}</span>;
}

type BodyProps = { readonly item: InboxItem; readonly isGone: boolean; readonly hasKeys: boolean };

function Body({ item, isGone, hasKeys }: BodyProps): ReactNode {
  const mayChange = useMayChange();
  if (item.request && item.sessionId !== null) {
    return <RequestForm sessionId={item.sessionId} request={item.request} hasKeys={hasKeys} isOver={isGone} />;
  }
  return (
    <>
      <p className={style.detail}>{plain(item.detail)}</p>
      {item.setup && item.sessionId !== null && (
        <>
          <SetupCommands setup={item.setup} />
          <SetupActs sessionId={item.sessionId} setup={item.setup} />
        </>
      )}
      {mayChange && item.kind === "failure" && item.sessionId !== null && (
        <FailureActs sessionId={item.sessionId} hasKeys={hasKeys} />
      )}
      {mayChange && item.kind === "budget" && item.sessionId !== null && <BudgetActs sessionId={item.sessionId} />}
      {mayChange && item.kind === "delay" && item.sessionId !== null && <DelayActs sessionId={item.sessionId} />}
      {mayChange && item.kind === "callback" && item.sessionId !== null && <CallbackActs sessionId={item.sessionId} />}
      {mayChange && item.kind === "webhook" && item.webhookId !== null && <WebhookActs webhookId={item.webhookId} />}
    </>
  );
}

type CardProps = {
  readonly item: InboxItem;
  /** It does not wait any more: the card only keeps its place. */
  readonly isGone: boolean;
  readonly isFocused: boolean;
  readonly hasKeys: boolean;
  readonly onFocus: () => void;
};

export function Card({ item, isGone, isFocused, hasKeys, onFocus }: CardProps): ReactNode {
  const title = plain(item.title);
  return (
    <li
      className={cx(style.card, isFocused && style.focused, isGone && style.gone)}
      data-focused={isFocused}
      tabIndex={isGone ? undefined : isFocused ? 0 : -1}
      onFocus={isGone ? undefined : onFocus}
    >
      <div className={style.cardHead}>
        <Mark {...(isGone ? GONE : LOOKS[item.kind])} />
        {item.sessionId === null ? (
          <strong>{title}</strong>
        ) : (
          <Link to="/s/$id" params={{ id: item.sessionId }} className={style.title}>
            {title}
          </Link>
        )}
        <Where item={item} />
        <Age at={item.at} className={style.where} />
      </div>
      {item.context?.prompt && (
        <p className={style.why}>
          {item.context.turn === null ? "Asked: " : `Turn ${item.context.turn}: `}
          {oneLine(item.context.prompt)}
        </p>
      )}
      <fieldset role="presentation" disabled={isGone} className={style.body}>
        <Boundary what="The card">
          <Body item={item} isGone={isGone} hasKeys={hasKeys} />
        </Boundary>
      </fieldset>
    </li>
  );
}
