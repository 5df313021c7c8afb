/** Says that what is shown is how it was, and leads back to now. */
import { History } from "lucide-react";
import { type ReactNode, Suspense } from "react";
import { Button } from "../../ui/button.tsx";
import style from "./page.module.css";

type PastProps = { readonly at: number; readonly back: () => void; readonly children: ReactNode };

export function Past({ at, back, children }: PastProps): ReactNode {
  return (
    <>
      <div className={style.past} role="status">
        <History size={15} aria-hidden />
        <span className={style.gap}>
          As of event {at.toLocaleString("en-US")}. Nothing can be changed here. The files are as they are now.
        </span>
        <Button size="small" onClick={back}>
          Back to now
        </Button>
      </div>
      <Suspense fallback={null}>{children}</Suspense>
    </>
  );
}
