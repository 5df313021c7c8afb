import type { ReactNode } from "react";
import { Dialog } from "../../ui/dialog.tsx";

export function KeysDialog(props: { readonly onClose: () => void }): ReactNode {
  return (
    <Dialog open onOpenChange={open => !open && props.onClose()} title="KeysDialog">
      This dialog is being built.
    </Dialog>
  );
}
