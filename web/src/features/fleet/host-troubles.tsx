/** The problems of hosts, above the list: they are the reason why sessions do not respond. */
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { troublesOf } from "../../core/hosts.ts";
import { useEngine, useHosts } from "../../state/hosts.ts";
import style from "./fleet.module.css";

const SHOWN_MAX = 2;

export function HostTroubles(): ReactNode {
  const { hosts } = useHosts();
  const troubles = troublesOf(hosts, useEngine(hosts.length > 1));
  if (troubles.length === 0) return null;
  const more = troubles.length - SHOWN_MAX;
  return (
    <div className={style.troubles}>
      {troubles.slice(0, SHOWN_MAX).map(trouble => (
        <div key={trouble.title} role="alert" className={style.trouble}>
          <strong>{trouble.title}</strong>: {trouble.detail} {trouble.hint}
        </div>
      ))}
      <Link to="/processes">{more > 0 ? `${more} more, and all hosts` : "All hosts"}</Link>
    </div>
  );
}
