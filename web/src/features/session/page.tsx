/** A session's page: header, tabs, transcript, composer, side panel; and the conversation of one of its sub-agents. */
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { ArrowLeft } from "lucide-react";
import { type ReactNode, Suspense } from "react";
import { counted, oneLine } from "../../core/text.ts";
import { useConversations } from "../../state/session.ts";
import { LineCounts } from "../../ui/changes.tsx";
import { Loading } from "../../ui/states.tsx";
import { type TabEntry, Tabs } from "../../ui/tabs.tsx";
import type { SessionDetail } from "../../wire/api.ts";
import { EndedBar } from "./ended-bar.tsx";
import { FilesTab } from "./files/files-tab.tsx";
import { Header } from "./header.tsx";
import { useOpen } from "./open.tsx";
import { Opened, positionOf, type Tab } from "./opened.tsx";
import style from "./page.module.css";
import type { Panels } from "./panels.ts";
import { SidePanel } from "./side/side-panel.tsx";
import { Talk } from "./talk.tsx";
import { TranscriptList } from "./transcript/list.tsx";
import { useSessionActions } from "./use-session-actions.ts";

type SessionPageProps = { readonly id: string; readonly panels: Panels };

export function SessionPage({ id, panels }: SessionPageProps): ReactNode {
  const { at } = useSearch({ from: "/s/$id" });
  return (
    <Opened id={id} at={positionOf(at)}>
      {detail => <Session detail={detail} panels={panels} />}
    </Opened>
  );
}

type SessionProps = { readonly detail: SessionDetail | undefined; readonly panels: Panels };

function Session({ detail, panels }: SessionProps): ReactNode {
  const { tab = "talk" } = useSearch({ from: "/s/$id" });
  const navigate = useNavigate({ from: "/s/$id" });
  const { item, at } = useOpen();
  const go = (next: Tab) => {
    const { tab: _, ...rest } = { tab, ...(at === null ? {} : { at: String(at) }) };
    void navigate({ search: next === "talk" ? rest : { ...rest, tab: next } });
  };
  useSessionActions(go);
  const { time: TimeBar } = panels;
  const travel = (next: number | null) =>
    void navigate({
      search: { ...(tab === "talk" ? {} : { tab }), ...(next === null ? {} : { at: String(next) }) },
      replace: at !== null && next !== null,
    });
  return (
    <div className={style.page} data-session={item.id}>
      <Header detail={detail} travel={travel} />
      {at !== null && (
        <Suspense fallback={null}>
          <TimeBar id={item.id} at={at} onChange={travel} />
        </Suspense>
      )}
      <div className={style.columns}>
        <Tabs
          label="Parts of the session"
          value={tab}
          tabs={tabsOf(item.changes)}
          onChange={go}
          className={style.tabs}
          panelClassName={style.panel}
        >
          <Suspense fallback={<Loading what="this part" />}>
            <Panel tab={tab} panels={panels} />
          </Suspense>
        </Tabs>
        {tab === "talk" && <SidePanel detail={detail} />}
      </div>
    </div>
  );
}

function tabsOf(changes: SessionDetail["changes"]): readonly TabEntry<Tab>[] {
  const counts = changes !== null && changes.files > 0 && (
    <LineCounts additions={changes.additions} deletions={changes.deletions} />
  );
  return [
    { value: "talk", label: "Talk" },
    { value: "diffs", label: <>Diffs {counts}</> },
    { value: "files", label: "Files" },
    { value: "log", label: "Log" },
  ];
}

function Panel({ tab, panels }: { readonly tab: Tab; readonly panels: Panels }): ReactNode {
  const { item, at } = useOpen();
  const { diffs: Diffs, log: Log } = panels;
  switch (tab) {
    case "talk":
      return <Talk />;
    case "diffs":
      return <Diffs id={item.id} at={at} />;
    case "files":
      return <FilesTab />;
    case "log":
      return <Log id={item.id} at={at} />;
  }
}

type ConversationPageProps = { readonly id: string; readonly conversation: string };

export function ConversationPage({ id, conversation }: ConversationPageProps): ReactNode {
  const { at } = useSearch({ from: "/s/$id/a/$conversation" });
  return (
    <Opened id={id} at={positionOf(at)} conversation={conversation}>
      {() => <Conversation conversation={conversation} />}
    </Opened>
  );
}

/** The conversation of a sub-agent: read only, with a link back to its parent. */
function Conversation({ conversation }: { readonly conversation: string }): ReactNode {
  const { item, at } = useOpen();
  const { data = [] } = useConversations(item.id);
  const found = data.find(each => each.id === conversation);
  const parent = data.find(each => each.id === found?.parentId);
  const search = at === null ? {} : { at: String(at) };
  const isBelowOwn = parent === undefined || parent.id === item.opencodeId;
  const label = isBelowOwn ? item.title : (parent.title ?? parent.id);
  return (
    <div className={style.page} data-session={item.id}>
      <header className={style.subHeader}>
        {isBelowOwn ? (
          <Link to="/s/$id" params={{ id: item.id }} search={search} className={style.back}>
            <ArrowLeft size={14} aria-hidden /> {oneLine(label, 60)}
          </Link>
        ) : (
          <Link
            to="/s/$id/a/$conversation"
            params={{ id: item.id, conversation: parent.id }}
            search={search}
            className={style.back}
          >
            <ArrowLeft size={14} aria-hidden /> {oneLine(label, 60)}
          </Link>
        )}
        <h1>{oneLine(found?.title ?? "Sub-agent", 120)}</h1>
        <span className={style.facts}>
          {[found?.agent, found && counted(found.messages, "message")].filter(Boolean).join(" · ")}
        </span>
      </header>
      <div className={style.panel}>
        <TranscriptList target={null} />
        <EndedBar isSubAgent />
      </div>
    </div>
  );
}
