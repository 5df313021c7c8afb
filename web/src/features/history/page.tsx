import type { ReactNode } from "react";
import { Empty } from "../../ui/states.tsx";

export function HistoryPage(): ReactNode {
  return <Empty>This page is being built.</Empty>;
}
