/** The proof of the log: every position, the chain of digests, payloads, versions and indexes, checked by the server now. */
import type { ReactNode } from "react";
import { counted } from "../../core/text.ts";
import { api } from "../../state/api.ts";
import { useRead } from "../../state/queries.ts";
import { said } from "../../state/trouble.ts";
import { Button } from "../../ui/button.tsx";
import { ProblemCard } from "../../ui/states.tsx";
import style from "./audit.module.css";

export function Verify(): ReactNode {
  const found = useRead(["verify"], () => api.GET("/api/log/verify"), { isOff: true });
  const proof = found.data?.body;
  return (
    <div className={style.verify}>
      <Button isBusy={found.isFetching} onClick={() => void found.refetch()}>
        {found.isFetching ? "Verifying…" : "Verify the log"}
      </Button>
      <span role="status">
        {proof?.intact && (
          <>
            <strong className={style.intact}>✓ intact</strong>: {counted(proof.events, "event")} in{" "}
            {counted(proof.streams, "stream")}
            {proof.erased > 0 && `, ${proof.erased} erased`}. Digest{" "}
            <code title={proof.digest}>{proof.digest.slice(0, 16)}…</code>
          </>
        )}
        {proof && !proof.intact && (
          <strong className={style.broken}>
            ✕ broken at event {proof.firstBreak?.position.toLocaleString("en-US")}: {proof.firstBreak?.reason}
          </strong>
        )}
      </span>
      {found.isError && <ProblemCard trouble={said(found.error, "The proof")} />}
    </div>
  );
}
