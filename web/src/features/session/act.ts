/** Actions on the open session. */
import { type Act, useAct as useActOn } from "../../widgets/act.ts";
import { useOpen } from "./open.tsx";

export function useAct(): Act {
  return useActOn(["session", useOpen().item.id]);
}
