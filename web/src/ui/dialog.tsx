/** Dialogs: one with a form or a text, and one that asks before something is destroyed. The focus returns when they close. */
import { AlertDialog } from "@base-ui/react/alert-dialog";
import { Dialog as Base } from "@base-ui/react/dialog";
import { X } from "lucide-react";
import type { ReactNode, RefObject } from "react";
import { Button } from "./button.tsx";
import { cx } from "./cx.ts";
import style from "./dialog.module.css";

type DialogProps = {
  readonly open: boolean;
  readonly onOpenChange: (open: boolean) => void;
  readonly title: string;
  readonly children: ReactNode;
  /** Buttons at the foot. */
  readonly foot?: ReactNode;
  readonly isWide?: boolean;
  readonly initialFocus?: RefObject<HTMLElement | null>;
};

export function Dialog({
  open,
  onOpenChange,
  title,
  children,
  foot,
  isWide = false,
  initialFocus,
}: DialogProps): ReactNode {
  return (
    <Base.Root open={open} onOpenChange={onOpenChange}>
      <Base.Portal>
        <Base.Backdrop className={style.backdrop} />
        <Base.Popup className={cx(style.popup, isWide && style.wide)} {...(initialFocus ? { initialFocus } : {})}>
          <div className={style.head}>
            <Base.Title className={style.title}>{title}</Base.Title>
          </div>
          <div className={style.body}>{children}</div>
          {foot && <div className={style.foot}>{foot}</div>}
          {/* Last, so that the first control of the dialog has the focus; without a tooltip, which would take the first Esc. */}
          <Base.Close
            render={
              <Button kind="quiet" aria-label="Close" className={style.close}>
                <X size={16} aria-hidden />
              </Button>
            }
          />
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  );
}

type ConfirmProps = {
  readonly open: boolean;
  readonly onOpenChange: (open: boolean) => void;
  readonly title: string;
  readonly children: ReactNode;
  /** The label of the button: the action, not "OK". */
  readonly act: string;
  readonly onConfirm: () => void;
  readonly isBusy?: boolean;
  /** Whether it cannot be confirmed yet. */
  readonly isDisabled?: boolean;
  readonly isDanger?: boolean;
};

/** Ask before an action. The safe choice has the focus. */
export function Confirm({
  open,
  onOpenChange,
  title,
  children,
  act,
  onConfirm,
  isBusy = false,
  isDisabled = false,
  isDanger = true,
}: ConfirmProps): ReactNode {
  return (
    <AlertDialog.Root open={open} onOpenChange={onOpenChange}>
      <AlertDialog.Portal>
        <AlertDialog.Backdrop className={style.backdrop} />
        <AlertDialog.Popup className={style.popup}>
          <div className={style.head}>
            <AlertDialog.Title className={style.title}>{title}</AlertDialog.Title>
          </div>
          <div className={style.body}>{children}</div>
          <div className={style.foot}>
            <AlertDialog.Close render={<Button>Cancel</Button>} />
            <Button kind={isDanger ? "danger" : "primary"} onClick={onConfirm} isBusy={isBusy} disabled={isDisabled}>
              {act}
            </Button>
          </div>
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}
