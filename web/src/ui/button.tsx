/** Buttons: an action has a text, and an icon without text has a name and a tooltip. */
import type { ComponentProps, ReactNode } from "react";
import style from "./button.module.css";
import { cx } from "./cx.ts";
import { Tip } from "./tooltip.tsx";

export type Kind = "plain" | "primary" | "danger" | "quiet";
type Size = "normal" | "small";

type ButtonProps = Omit<ComponentProps<"button">, "type"> & {
  readonly kind?: Kind;
  readonly size?: Size;
  readonly type?: "button" | "submit";
  /** The action is running: the button is disabled and shows it. */
  readonly isBusy?: boolean;
};

export function Button({
  kind = "plain",
  size = "normal",
  isBusy = false,
  className,
  type = "button",
  disabled,
  ...rest
}: ButtonProps): ReactNode {
  return (
    <button
      {...rest}
      type={type}
      disabled={disabled || isBusy}
      aria-busy={isBusy || undefined}
      className={cx(style.button, style[kind], size === "small" && style.small, className)}
    />
  );
}

type IconButtonProps = Omit<ButtonProps, "aria-label" | "children"> & {
  readonly label: string;
  /** Shown in the tooltip behind the label. */
  readonly keys?: string | undefined;
  readonly children: ReactNode;
};

/** A button that is an icon: `label` is its name and its tooltip. */
export function IconButton({
  label,
  keys,
  kind = "quiet",
  size = "normal",
  className,
  children,
  ...rest
}: IconButtonProps): ReactNode {
  return (
    <Tip text={label} keys={keys}>
      <Button {...rest} kind={kind} size={size} aria-label={label} className={cx(style.icon, className)}>
        {children}
      </Button>
    </Tip>
  );
}
