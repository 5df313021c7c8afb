import type { ReactNode } from "react";
import { Empty } from "../../ui/states.tsx";

export function ProcessesPage(): ReactNode {
  return <Empty>This page is being built.</Empty>;
}
