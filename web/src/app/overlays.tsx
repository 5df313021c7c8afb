/** The dialogs that open over any page: palette, keys, new session. Each is loaded when it is first opened. */
import { useNavigate, useRouter, useRouterState } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense, useRef, useState } from "react";
import { useActions } from "../state/actions.ts";
import { useMayChange } from "../state/context.tsx";
import { part } from "../state/parts.ts";
import { Boundary } from "../widgets/boundary.tsx";

const Palette = lazy(
  part(() => import("../features/palette/palette.tsx").then(module => ({ default: module.Palette }))),
);
const KeysDialog = lazy(
  part(() => import("../features/palette/keys-dialog.tsx").then(module => ({ default: module.KeysDialog }))),
);
const NewSession = lazy(
  part(() => import("../features/new-session/dialog.tsx").then(module => ({ default: module.NewSessionDialog }))),
);

/** Where the dialog for a new session was opened: closing it returns there. */
function useBehind(): string {
  const href = useRouterState({ select: state => state.location.href });
  const behind = useRef("/");
  if (!href.startsWith("/new")) behind.current = href;
  return behind.current;
}

export function Overlays(): ReactNode {
  const [open, setOpen] = useState<"palette" | "keys" | null>(null);
  const navigate = useNavigate();
  const { history } = useRouter();
  const behind = useBehind();
  const isNewWanted = useRouterState({ select: state => state.location.pathname === "/new" });
  const isNew = useMayChange() && isNewWanted;
  const search = useRouterState({ select: state => state.location.search }) as { directory?: string; parent?: string };
  useActions([
    { id: "palette.open", label: "Open the command palette", run: () => setOpen("palette") },
    { id: "keys.show", label: "Show all keys", run: () => setOpen("keys") },
  ]);
  return (
    <Boundary what="The dialog">
      <Suspense fallback={null}>
        {open === "palette" && <Palette onClose={() => setOpen(null)} />}
        {open === "keys" && <KeysDialog onClose={() => setOpen(null)} />}
        {isNew && (
          <NewSession
            {...(search.directory === undefined ? {} : { directory: search.directory })}
            {...(search.parent === undefined ? {} : { parent: search.parent })}
            behind={behind}
            onClose={() => history.replace(behind)}
            onCreated={id => void navigate({ to: "/s/$id", params: { id } })}
          />
        )}
      </Suspense>
    </Boundary>
  );
}
