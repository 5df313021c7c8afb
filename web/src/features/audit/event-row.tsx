/** One event: its sentence, time and actor. When it is open, it shows why the event happened and what was logged. */
import { Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { sentence, streamOf, who } from "../../core/sentences.ts";
import { plain } from "../../core/text.ts";
import { moment } from "../../core/times.ts";
import { askWhy } from "../../state/log.ts";
import { useRead } from "../../state/queries.ts";
import { said } from "../../state/trouble.ts";
import { cx } from "../../ui/cx.ts";
import { Loading, ProblemCard } from "../../ui/states.tsx";
import { SessionLink } from "../../widgets/session-link.tsx";
import type { AuditEvent } from "../../wire/events.ts";
import style from "./audit.module.css";

function When({ at }: { readonly at: string }): ReactNode {
  return (
    <time dateTime={at} title={at} className={style.when}>
      {moment(at)}
    </time>
  );
}

type EventRowProps = { readonly event: AuditEvent; readonly hasSession?: boolean };

export function EventRow({ event, hasSession = true }: EventRowProps): ReactNode {
  const [isOpen, setOpen] = useState(false);
  const { kind, id } = streamOf(event.stream);
  return (
    <li className={style.event}>
      <div className={cx(style.line, !hasSession && style.own)}>
        <When at={event.at} />
        <button type="button" className={style.sentence} aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          {sentence(event)}
        </button>
        {hasSession && (
          <span className={style.of}>{kind === "session" ? <SessionLink id={id} /> : `${kind} ${id.slice(0, 8)}`}</span>
        )}
        <span className={style.who}>{plain(who(event.actor))}</span>
        <span className={style.position}>{event.position.toLocaleString("en-US")}</span>
      </div>
      {isOpen && <Details event={event} />}
    </li>
  );
}

function Details({ event }: { readonly event: AuditEvent }): ReactNode {
  const { kind, id } = streamOf(event.stream);
  return (
    <div className={style.details}>
      <Why position={event.position} />
      <p className={style.facts}>
        <code>{event.type}</code> by <code>{plain(event.actor)}</code>, version {event.version} of {kind}
        {event.correlationId && (
          <>
            , request <code>{plain(event.correlationId)}</code>
          </>
        )}
        {kind === "session" && (
          <>
            {" · "}
            <Link to="/s/$id" params={{ id }} search={{ at: String(event.position) }}>
              See the session as it was then
            </Link>
          </>
        )}
      </p>
      <pre className={style.data}>{plain(JSON.stringify(event.data, null, 2)).slice(0, DATA_CHARS_MAX)}</pre>
    </div>
  );
}

/** The limit of the logged data that is shown: a prompt may have 20 MB of attachments. */
const DATA_CHARS_MAX = 20_000;

/** Why it happened: a sentence for each step, down to the request that began it. */
function Why({ position }: { readonly position: number }): ReactNode {
  const found = useRead(["why", position], () => askWhy(position));
  if (found.isPending) return <Loading what="the causes" bars={2} />;
  if (found.isError)
    return <ProblemCard trouble={said(found.error, "The causes")} retry={() => void found.refetch()} />;
  const steps = found.data.body.slice(1);
  if (steps.length === 0) return <p className={style.facts}>Nothing in the log caused it: it began here.</p>;
  return (
    <div>
      <h3>Why</h3>
      <ol className={style.chain}>
        {steps.map(step => (
          <li key={`${step.position} ${step.kind}`}>
            <When at={step.at} /> {plain(step.sentence)}{" "}
            <span className={style.who}>(event {step.position.toLocaleString("en-US")})</span>
          </li>
        ))}
      </ol>
    </div>
  );
}
