import type { ReactNode } from "react";
import { Dialog } from "../../ui/dialog.tsx";

export function Palette(props: { readonly onClose: () => void }): ReactNode {
  return (
    <Dialog open onOpenChange={open => !open && props.onClose()} title="Palette">
      This dialog is being built.
    </Dialog>
  );
}
