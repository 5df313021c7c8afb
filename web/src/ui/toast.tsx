/** Short messages at the edge of the page: what was done, with an undo, or what failed. */
import { Toast } from "@base-ui/react/toast";
import { X } from "lucide-react";
import type { ReactNode } from "react";
import { plain } from "../core/text.ts";
import { Button, IconButton } from "./button.tsx";
import style from "./toast.module.css";

const manager = Toast.createToastManager();
const SHOWN_MS = 6_000;
const WITH_ACTION_MS = 12_000;

type Undo = { readonly label: string; readonly run: () => void };

/** Report that something was done, with an undo if there is one; return the function that removes the message. */
export function say(title: string, undo?: Undo): () => void {
  const id = manager.add({
    title: plain(title),
    timeout: undo ? WITH_ACTION_MS : SHOWN_MS,
    ...(undo
      ? {
          actionProps: {
            children: undo.label,
            onClick: () => {
              undo.run();
              manager.close(id);
            },
          },
        }
      : {}),
  });
  return () => manager.close(id);
}

/** Report that something failed. The message stays until the person closes it. */
export function sayError(title: string, description?: string): void {
  manager.add({
    title: plain(title),
    ...(description ? { description: plain(description) } : {}),
    type: "error",
    timeout: 0,
    priority: "high",
  });
}

function Entries(): ReactNode {
  const { toasts } = Toast.useToastManager();
  return toasts.map(toast => (
    <Toast.Root key={toast.id} toast={toast} className={style.toast} data-type={toast.type}>
      <div className={style.words}>
        <Toast.Title className={style.title} />
        <Toast.Description className={style.description} />
      </div>
      {toast.actionProps && <Toast.Action render={<Button size="small" />} />}
      <Toast.Close
        render={
          <IconButton label="Dismiss" size="small">
            <X size={14} />
          </IconButton>
        }
      />
    </Toast.Root>
  ));
}

export function Toasts(): ReactNode {
  return (
    <Toast.Provider toastManager={manager}>
      <Toast.Portal>
        <Toast.Viewport className={style.viewport}>
          <Entries />
        </Toast.Viewport>
      </Toast.Portal>
    </Toast.Provider>
  );
}
