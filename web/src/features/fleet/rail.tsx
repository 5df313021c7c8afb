import type { ReactNode } from "react";

export function SessionRail(_: { readonly openId: string }): ReactNode {
  return <div />;
}
