/** The login: the server refuses access without a token, and a link from its machine logs a browser in. */
import type { ReactNode } from "react";
import { linkCommand, nextOf } from "../../browser/login.ts";
import { Button } from "../../ui/button.tsx";
import { ProblemCard } from "../../ui/states.tsx";
import style from "./login.module.css";

/** Whether the address is that of a link: the server gives the page there only where it refuses the link. */
function isUsedLink(path: string, search: string): boolean {
  return path === "/login" && new URLSearchParams(search).has("code");
}

export function LoginPage(): ReactNode {
  const next = nextOf(location.pathname, location.search);
  return (
    <div className={style.login}>
      <h1>Log in</h1>
      {isUsedLink(location.pathname, location.search) && (
        <ProblemCard
          trouble={{
            title: "This login link is not valid",
            detail: "It was used before, is older than ten minutes, or never existed.",
            hint: "Create another one.",
          }}
        />
      )}
      <p>This Fleet asks for a token. On the server's machine, run</p>
      <pre className={style.command}>{linkCommand(next)}</pre>
      <p>
        and open the link that it prints in this browser. It works once, for ten minutes. If there is no token of that
        name yet, create it first with <code>fleet token new --role operator --name NAME</code>; the role{" "}
        <code>viewer</code> can only read.
      </p>
      <p>
        <Button kind="primary" onClick={() => location.assign(next)}>
          I have opened the link
        </Button>
      </p>
      <p className={style.note}>
        Programs send the token as a header: see <a href="/api/docs">the interface</a> after you have logged in.
      </p>
    </div>
  );
}
