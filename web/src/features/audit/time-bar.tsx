/** The time bar of a session: the page shows the session as of any event, and allows no change meanwhile. */
import { ChevronLeft, ChevronRight, History } from "lucide-react";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { sentence } from "../../core/sentences.ts";
import { placeOf, positionAt, ticksOf } from "../../core/timeline.ts";
import { clock, moment } from "../../core/times.ts";
import { useActions } from "../../state/actions.ts";
import { read } from "../../state/api.ts";
import { askLog, type LogQuery } from "../../state/log.ts";
import { useRead } from "../../state/queries.ts";
import { useTurnItems } from "../../state/session.ts";
import { line } from "../../state/trouble.ts";
import { Button, IconButton } from "../../ui/button.tsx";
import { sayError } from "../../ui/toast.tsx";
import style from "./time-bar.module.css";

const STEPS = 1000;
const DRAG_MS = 120;

type TimeBarProps = {
  readonly id: string;
  /** The position that is shown; null for now. */
  readonly at: number | null;
  readonly onChange: (at: number | null) => void;
};

/** Read the session's events around a position: `order` says in which direction. */
async function neighbour(id: string, at: number, order: "asc" | "desc"): Promise<number | null> {
  const query: LogQuery = { session: id, order, limit: 1, ...(order === "asc" ? { after: at } : { before: at }) };
  const { body } = await read(askLog(query));
  return body[0]?.position ?? null;
}

export function TimeBar(props: TimeBarProps): ReactNode {
  const { id, at, onChange } = props;
  if (at !== null) return <Bar {...props} at={at} />;
  return (
    <Button
      kind="quiet"
      size="small"
      title="Show the session as it was at any event"
      onClick={() =>
        void neighbour(id, Number.MAX_SAFE_INTEGER, "desc")
          .then(position => position !== null && onChange(position))
          .catch(error => sayError("The log cannot be read", line(error)))
      }
    >
      <History size={14} aria-hidden /> Time
    </Button>
  );
}

/** Returns the position after a step from a position; null if there is none. */
type Step = (from: number) => number | null | Promise<number | null>;

/**
 * Return a function that moves by one step. Each step begins where the previous one leads, even if the page has not arrived
 * there yet: while a key is held down, no step is lost.
 */
function useSteps(at: number, onChange: (at: number) => void): (step: Step) => void {
  const shown = useRef(at);
  const trail = useRef<number[]>([]);
  const last = useRef<Promise<void>>(Promise.resolve());
  useEffect(() => {
    shown.current = at;
    // The position belongs to none of the pending steps: the next step begins here.
    const isOnTheWay = trail.current.slice(0, -1).includes(at);
    if (!isOnTheWay) trail.current = [];
  }, [at]);
  async function go(step: Step): Promise<void> {
    const position = await step(trail.current.at(-1) ?? shown.current);
    if (position === null) return;
    trail.current.push(position);
    onChange(position);
  }
  return step => {
    last.current = last.current.then(() => go(step)).catch(error => sayError("The log cannot be read", line(error)));
  };
}

function Bar({ id, at, onChange }: TimeBarProps & { readonly at: number }): ReactNode {
  const turns = useTurnItems(id, null);
  const first = useRead(["first-event", id], () => askLog({ session: id, order: "asc", limit: 1 }));
  const newest = useRead(["newest-event", id], () => askLog({ session: id, order: "desc", limit: 1 }));
  // The position may be an event of another session: the bar names this session's last event before it.
  const here = useRead(["event-until", id, at], () => askLog({ session: id, order: "desc", limit: 1, before: at + 1 }));
  const begin = first.data?.body[0]?.position ?? at;
  const end = Math.max(newest.data?.body[0]?.position ?? at, at);
  const ticks = ticksOf(begin, end, turns.data ?? []);
  const [dragged, drag] = useState<number | null>(null);

  // While the handle is dragged, the page follows it in small steps.
  useEffect(() => {
    if (dragged === null) return;
    const timer = setTimeout(() => {
      drag(null);
      onChange(positionAt(dragged / STEPS, ticks));
    }, DRAG_MS);
    return () => clearTimeout(timer);
  });

  const go = useSteps(at, onChange);
  const step = (order: "asc" | "desc") => go(from => neighbour(id, from, order));
  const jump = (by: 1 | -1) =>
    go(from => {
      const next = by === 1 ? ticks.find(tick => tick.position > from) : ticks.findLast(tick => tick.position < from);
      return next?.position ?? null;
    });
  useActions([
    { id: "time.earlier", label: "One event earlier", run: () => step("desc") },
    { id: "time.later", label: "One event later", run: () => step("asc") },
    { id: "time.earlier-turn", label: "One turn earlier", run: () => jump(-1) },
    { id: "time.later-turn", label: "One turn later", run: () => jump(1) },
    { id: "time.now", label: "Back to now", run: () => onChange(null) },
  ]);

  const event = here.data?.body[0];
  const value = dragged ?? Math.round(placeOf(at, ticks) * STEPS);
  return (
    <section className={style.bar} aria-label="Time travel">
      <div className={style.words} role="status">
        <span className={style.moment}>
          <strong>As of {event ? moment(event.at) : "…"}</strong> (event {at.toLocaleString("en-US")})
          {event && <span className={style.what}>: {sentence(event)}.</span>} Nothing can be changed here.
        </span>
        <Button kind="primary" size="small" onClick={() => onChange(null)}>
          Back to now
        </Button>
      </div>
      <div className={style.slide}>
        <IconButton label="One event earlier" keys="←" size="small" onClick={() => step("desc")}>
          <ChevronLeft size={14} />
        </IconButton>
        <div className={style.track}>
          <input
            type="range"
            min={0}
            max={STEPS}
            value={value}
            aria-label="Event"
            aria-valuetext={event ? `${clock(event.at)}, ${sentence(event)}` : String(at)}
            onChange={change => drag(Number(change.target.value))}
            onKeyDown={key => {
              // The arrow keys move by events, as everywhere on the page, not by pixels of the bar.
              if (key.key === "ArrowLeft" || key.key === "ArrowRight") {
                key.preventDefault();
                key.stopPropagation();
                if (key.shiftKey) jump(key.key === "ArrowLeft" ? -1 : 1);
                else step(key.key === "ArrowLeft" ? "desc" : "asc");
              }
            }}
          />
          <div className={style.ticks} aria-hidden>
            {ticks.map((tick, index) => (
              <span
                key={tick.position}
                title={tick.label}
                className={style.tick}
                style={{ left: `${(index / Math.max(1, ticks.length - 1)) * 100}%` }}
              />
            ))}
          </div>
        </div>
        <IconButton label="One event later" keys="→" size="small" onClick={() => step("asc")}>
          <ChevronRight size={14} />
        </IconButton>
      </div>
    </section>
  );
}
