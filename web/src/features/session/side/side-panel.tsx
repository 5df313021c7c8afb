/** The panel beside the transcript on wide screens: turns, things to do, relatives, the workspace. */
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { elsewhere, needWords, returnedWords } from "../../../core/hosts.ts";
import { lookOf } from "../../../core/status.ts";
import { oneLine, plain } from "../../../core/text.ts";
import { useConversations, useTodos, useWorkspace } from "../../../state/session.ts";
import { Mark } from "../../../ui/mark.tsx";
import type { Relative, SessionDetail } from "../../../wire/api.ts";
import { todosOf } from "../../../wire/opencode.ts";
import { useOpen } from "../open.tsx";
import { Outline } from "./outline.tsx";
import { Section } from "./section.tsx";
import style from "./side.module.css";
import { TodoList } from "./todos.tsx";

export function SidePanel({ detail }: { readonly detail: SessionDetail | undefined }): ReactNode {
  return (
    <aside className={style.side} aria-label="About the session">
      <Outline />
      <Todos />
      <SubAgents />
      {detail && <Relatives title="Parents" relatives={detail.ancestors} />}
      {detail && <Relatives title="Children" relatives={detail.children} />}
      <Workspace />
    </aside>
  );
}

function Todos(): ReactNode {
  const { item, at } = useOpen();
  const { data } = useTodos(item.id, at);
  const todos = todosOf(data);
  if (todos.length === 0) return null;
  const done = todos.filter(todo => todo.status === "completed").length;
  return (
    <Section title={`To do ${done} of ${todos.length}`}>
      <TodoList todos={todos} />
    </Section>
  );
}

function SubAgents(): ReactNode {
  const { item, at } = useOpen();
  const { data = [] } = useConversations(item.id);
  const others = data.filter(each => each.id !== item.opencodeId);
  if (others.length === 0) return null;
  return (
    <Section title={`Sub-agents ${others.length}`}>
      <ul className={style.relatives}>
        {others.map(each => (
          <li key={each.id}>
            <Link
              to="/s/$id/a/$conversation"
              params={{ id: item.id, conversation: each.id }}
              search={at === null ? {} : { at: String(at) }}
              className={style.relative}
            >
              {oneLine(each.title ?? each.agent ?? each.id, 80)}
            </Link>
          </li>
        ))}
      </ul>
    </Section>
  );
}

type RelativesProps = { readonly title: string; readonly relatives: readonly Relative[] };

function Relatives({ title, relatives }: RelativesProps): ReactNode {
  if (relatives.length === 0) return null;
  return (
    <Section title={title}>
      <ul className={style.relatives}>
        {relatives.map(relative => (
          <li key={relative.id}>
            <Link to="/s/$id" params={{ id: relative.id }} className={style.relative}>
              <Mark {...lookOf(relative.status)} isShort /> {oneLine(relative.title, 80)}
            </Link>
          </li>
        ))}
      </ul>
    </Section>
  );
}

function Workspace(): ReactNode {
  const { item } = useOpen();
  const { data } = useWorkspace(item.id, item.workspaceId);
  return (
    <Section title="Workspace">
      <dl className={style.facts}>
        {(elsewhere(item) ?? needWords(item.need)) !== null && (
          <>
            <dt>Host</dt>
            <dd>
              {plain(item.host ?? "none yet")}
              {item.need !== null && <div className={style.need}>asked for: {plain(needWords(item.need) ?? "")}</div>}
            </dd>
          </>
        )}
        {item.returned.length > 0 && (
          <>
            <dt>Returned work</dt>
            {item.returned.map(each => (
              <dd key={each.ref}>{plain(returnedWords(each))}</dd>
            ))}
          </>
        )}
        <dt>Directory</dt>
        <dd>{plain(item.directory)}</dd>
        {(data?.currentBranch ?? item.branch) && (
          <>
            <dt>Branch</dt>
            <dd>{plain(data?.currentBranch ?? item.branch ?? "")}</dd>
          </>
        )}
        {data && (
          <>
            <dt>State</dt>
            <dd>
              {data.status}
              {data.status === "ready" && data.dirty === true && ", with work that is not committed"}
              {data.status === "ready" && data.dirty === false && ", all committed"}
            </dd>
          </>
        )}
      </dl>
    </Section>
  );
}
