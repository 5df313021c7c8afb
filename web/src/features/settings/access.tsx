/** Access: who is logged in, and how others get a token. */
import type { ReactNode } from "react";
import { forgetPerson } from "../../browser/person.ts";
import { useFleet, useMayChange } from "../../state/context.tsx";
import { useCell } from "../../state/store.ts";
import { line } from "../../state/trouble.ts";
import { Button } from "../../ui/button.tsx";
import { Section } from "../../ui/page.tsx";
import { sayError } from "../../ui/toast.tsx";
import { HowTokensAreMade, Tokens } from "./tokens.tsx";

/** Forget this browser's cookie and what it keeps of the person, and show the login. */
async function logOut(denied: () => void): Promise<void> {
  try {
    const answer = await fetch("/logout", { method: "POST" });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    await forgetPerson();
    denied();
  } catch (error) {
    sayError("You are still logged in", line(error));
  }
}

export function Access(): ReactNode {
  const { caller: cell, hub } = useFleet();
  const caller = useCell(cell);
  const mayChange = useMayChange();
  if (!caller) return null;
  const isLocal = caller.actor === "local";
  return (
    <Section title="Access">
      {isLocal ? (
        <p>
          You are a user of this machine, and only this machine has access. As soon as there is a token, everyone needs
          one, also on this machine.
        </p>
      ) : (
        <p>
          You are logged in as <strong>{caller.actor.replace(/^token:/, "")}</strong> (
          {caller.role === "viewer" ? "read-only" : "may change everything"}).{" "}
          <Button size="small" onClick={() => void logOut(() => hub.denied())}>
            Log out
          </Button>
        </p>
      )}
      {mayChange && <Tokens />}
      <HowTokensAreMade />
    </Section>
  );
}
