/** A link to a session by its title, with its status if the fleet view has it. */
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { lookOf } from "../core/status.ts";
import { plain } from "../core/text.ts";
import { useSession } from "../state/context.tsx";
import { Mark } from "../ui/mark.tsx";
import style from "./session-link.module.css";

type SessionLinkProps = {
  readonly id: string;
  /** The title if the fleet view does not have the session. */
  readonly title?: string;
  readonly hasMark?: boolean;
};

export function SessionLink({ hasMark = true, ...props }: SessionLinkProps): ReactNode {
  const item = useSession(props.id);
  const title = item?.title ?? props.title ?? props.id.slice(0, 8);
  return (
    <span className={style.whole}>
      {item && hasMark && <Mark {...lookOf(item.status)} isShort />}
      <Link to="/s/$id" params={{ id: props.id }} className={style.link}>
        {plain(title)}
      </Link>
    </span>
  );
}
