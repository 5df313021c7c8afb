/** Copies a text, and confirms it. */
import { Check, Copy } from "lucide-react";
import { type ReactNode, useState } from "react";
import { IconButton } from "./button.tsx";
import { sayError } from "./toast.tsx";

const SAID_MS = 1_500;

type CopyProps = { readonly text: string; readonly label?: string; readonly className?: string | undefined };

export function CopyButton({ text, label = "Copy", className }: CopyProps): ReactNode {
  const [isCopied, setCopied] = useState(false);
  async function copy(): Promise<void> {
    try {
      // Pages over plain HTTP from another machine have no clipboard.
      if (!navigator.clipboard) throw new Error("the browser gives the clipboard to secure pages only");
      await navigator.clipboard.writeText(text);
      setCopied(true);
      setTimeout(() => setCopied(false), SAID_MS);
    } catch (error) {
      sayError("The text was not copied", error instanceof Error ? error.message : String(error));
    }
  }
  return (
    <IconButton label={isCopied ? "Copied" : label} size="small" className={className} onClick={() => void copy()}>
      {isCopied ? <Check size={14} aria-hidden /> : <Copy size={14} aria-hidden />}
    </IconButton>
  );
}
