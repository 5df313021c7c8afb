import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { lookOf } from "../../core/status.ts";
import { useFleet, useSession } from "../../state/context.tsx";
import { useCell } from "../../state/store.ts";
import { Mark } from "../../ui/mark.tsx";
import { Empty, Loading } from "../../ui/states.tsx";

function Row(props: { readonly id: string }): ReactNode {
  const item = useSession(props.id);
  if (!item) return null;
  return (
    <li>
      <Mark {...lookOf(item.status)} />{" "}
      <Link to="/s/$id" params={{ id: item.id }}>
        {item.title}
      </Link>
    </li>
  );
}

export function FleetPage(): ReactNode {
  const { fleet } = useFleet();
  const keys = useCell(fleet.sessions.keys);
  if (!useCell(fleet.isLoaded)) return <Loading what="sessions" />;
  if (keys.length === 0) return <Empty>No sessions yet.</Empty>;
  return (
    <ul>
      {keys.map(id => (
        <Row key={id} id={id} />
      ))}
    </ul>
  );
}
