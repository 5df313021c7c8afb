import type { ReactNode } from "react";
import { Empty } from "../../ui/states.tsx";

export function InboxPage(): ReactNode {
  return <Empty>This page is being built.</Empty>;
}
