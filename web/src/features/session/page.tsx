import type { ReactNode } from "react";
import { Empty } from "../../ui/states.tsx";

export function SessionPage(props: { readonly id: string }): ReactNode {
  return <Empty>Session {props.id}</Empty>;
}

export function ConversationPage(props: { readonly id: string; readonly conversation: string }): ReactNode {
  return <Empty>Conversation {props.conversation}</Empty>;
}
