/** A look at a session without leaving the list: its last lines, the evidence of its state, what it asks. */
import { Link } from "@tanstack/react-router";
import { X } from "lucide-react";
import { type ReactNode, useState } from "react";
import { isMac } from "../../browser/platform.ts";
import { budgetOf } from "../../core/doing.ts";
import { modelOf } from "../../core/filter.ts";
import { keysOf } from "../../core/keymap.ts";
import { type Line, linesOf } from "../../core/last-lines.ts";
import { lookOf } from "../../core/status.ts";
import { compact, counted, duration, money, oneLine, plain } from "../../core/text.ts";
import { moment } from "../../core/times.ts";
import { api } from "../../state/api.ts";
import { useSession } from "../../state/context.tsx";
import { useDocument } from "../../state/queries.ts";
import { said } from "../../state/trouble.ts";
import { IconButton } from "../../ui/button.tsx";
import { Keys } from "../../ui/keys.tsx";
import { Mark } from "../../ui/mark.tsx";
import { Loading, ProblemCard } from "../../ui/states.tsx";
import { OpenRequests } from "../../widgets/open-requests.tsx";
import type { SessionItem } from "../../wire/types.ts";
import { PlaceName } from "./cells.tsx";
import style from "./peek.module.css";

const MESSAGES = 6;
const LINES = 12;

export function Peek({ id, onClose }: { readonly id: string; readonly onClose: () => void }): ReactNode {
  const item = useSession(id);
  const [isInside, setInside] = useState(false);
  if (item === undefined) return null;
  return (
    <section
      data-peek
      className={style.peek}
      aria-label={`Peek: ${oneLine(item.title, 80)}`}
      onFocus={() => setInside(true)}
      onBlur={() => setInside(false)}
    >
      <div className={style.head}>
        <h2>
          <Link to="/s/$id" params={{ id }}>
            {oneLine(item.title)}
          </Link>
        </h2>
        <IconButton label="Close the peek" keys={keysOf("list.peek", isMac)[0]} size="small" onClick={onClose}>
          <X size={14} />
        </IconButton>
      </div>
      <div className={style.body}>
        <State item={item} />
        <OpenRequests key={id} sessionId={id} className={style.request} hasKeys={isInside} />
        <LastLines item={item} />
      </div>
      <div className={style.foot}>
        <Keys keys={keysOf("list.open", isMac)[0] ?? ""} /> opens <Keys keys="j" /> <Keys keys="k" /> peek at the next{" "}
        <Keys keys="Tab" /> into the peek
      </div>
    </section>
  );
}

function State({ item }: { readonly item: SessionItem }): ReactNode {
  const { evidence, statusSince, turns, queued, contextTokens, contextLimit } = item;
  const budget = budgetOf(item);
  const facts = [
    counted(turns, "turn"),
    `${duration(item.runningMs)} of work`,
    money(item.costUsd) + (budget === null ? "" : ` (${budget.words})`),
    queued > 0 && `${counted(queued, "prompt")} waiting`,
    contextTokens !== null &&
      `context ${compact(contextTokens)}${contextLimit === null ? "" : ` of ${compact(contextLimit)}`}`,
    item.agent,
    modelOf(item),
  ].filter(Boolean);
  return (
    <div className={style.state}>
      <div>
        <Mark {...lookOf(item.status)} /> <span className={style.faint}>since {moment(statusSince)}</span>
      </div>
      {evidence && <div className={style.faint}>{oneLine(evidence)}</div>}
      {item.failure !== null && <div className={style.failure}>{plain(item.failure.detail)}</div>}
      <div>
        <PlaceName item={item} />
        {item.branch !== null && <span className={style.faint}> · {oneLine(item.branch, 80)}</span>}
      </div>
      <div className={style.faint}>{oneLine(facts.join(" · "), 400)}</div>
    </div>
  );
}

function LastLines({ item }: { readonly item: SessionItem }): ReactNode {
  // The answer is read again when the session's activity changes.
  const params = { path: { session_id: item.id }, query: { limit: MESSAGES, cut: true } };
  const { data, error, refetch } = useDocument(
    ["peek", item.id, item.activity?.at ?? item.updatedAt],
    () => api.GET("/api/sessions/{session_id}/messages", { params }),
    { placeholderData: (before, query) => (query?.queryKey[1] === item.id ? before : undefined) },
  );
  if (error !== null) return <ProblemCard trouble={said(error, "What it said")} retry={() => void refetch()} />;
  if (data === undefined) return <Loading what="its last lines" bars={3} />;
  const lines = linesOf(data.messages, LINES);
  if (lines.length === 0) return <p className={style.faint}>Nothing has been said yet.</p>;
  return (
    <ol className={style.lines} aria-label="Last lines">
      {lines.map(line => (
        <LineText key={line.id} line={line} />
      ))}
    </ol>
  );
}

function LineText({ line }: { readonly line: Line }): ReactNode {
  return (
    <li className={style.line} data-kind={line.kind}>
      {line.lead && <strong>{line.lead} </strong>}
      {line.text}
    </li>
  );
}
