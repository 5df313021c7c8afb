/** The set-up commands that a repository asks for, and the buttons with which a person decides about them. */
import type { ReactNode } from "react";
import { plain } from "../core/text.ts";
import { useIsConnected, useMayChange } from "../state/context.tsx";
import { Button } from "../ui/button.tsx";
import { Code } from "../ui/code.tsx";
import type { SetupItem } from "../wire/types.ts";
import { useAct } from "./act.ts";
import style from "./setup.module.css";

const SUBMODULES = "git submodule update --init --recursive";
const DIGEST_SHOWN = 16;

/** The commands that would run, and the digest by which they are allowed. */
export function SetupCommands({ setup }: { readonly setup: SetupItem }): ReactNode {
  const first = [setup.submodules ? SUBMODULES : "", plain(setup.setup)].filter(Boolean).join("\n");
  return (
    <div className={style.commands}>
      {first && (
        <>
          <p>When a workspace is made:</p>
          <Code code={first} language="bash" />
        </>
      )}
      {setup.teardown && (
        <>
          <p>Before it is removed:</p>
          <Code code={plain(setup.teardown)} language="bash" />
        </>
      )}
      <p className={style.digest} title={setup.digest}>
        .fleet.toml, SHA-256 {setup.digest.slice(0, DIGEST_SHOWN)}…
      </p>
    </div>
  );
}

type ActsProps = { readonly sessionId: string; readonly setup: SetupItem };

/** Allow the commands, or continue without them. */
export function SetupActs({ sessionId, setup }: ActsProps): ReactNode {
  const { isBusy, act } = useAct(["setup", sessionId]);
  const isOff = !useIsConnected() || isBusy;
  const path = `/api/sessions/${sessionId}/setup`;
  if (!useMayChange()) return null;
  return (
    <div className={style.acts}>
      <Button
        kind="primary"
        disabled={isOff}
        onClick={() => void act("The commands are allowed", "POST", path, { action: "allow", digest: setup.digest })}
      >
        Allow in this repository
      </Button>
      <SkipSetup sessionId={sessionId} />
    </div>
  );
}

/** Continue in a workspace that is not set up. */
export function SkipSetup({ sessionId }: { readonly sessionId: string }): ReactNode {
  const { isBusy, act } = useAct(["setup", sessionId]);
  const isOff = !useIsConnected() || isBusy;
  const path = `/api/sessions/${sessionId}/setup`;
  return (
    <Button
      disabled={isOff}
      onClick={() => void act("The session continues without its set-up", "POST", path, { action: "skip" })}
    >
      Go on without it
    </Button>
  );
}
