import type { ReactNode } from "react";
import { Dialog } from "../../ui/dialog.tsx";

type NewSessionProps = {
  readonly directory?: string;
  readonly parent?: string;
  readonly onClose: () => void;
  readonly onCreated: (id: string) => void;
};

export function NewSessionDialog(props: NewSessionProps): ReactNode {
  return (
    <Dialog open onOpenChange={open => !open && props.onClose()} title="New session">
      This dialog is being built.
    </Dialog>
  );
}
