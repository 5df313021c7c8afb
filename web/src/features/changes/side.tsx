/** The tree beside the lines; on a phone above them, and only while it is open. */
import { ChevronDown, ChevronLeft, ChevronRight } from "lucide-react";
import { type ReactNode, type Ref, useState } from "react";
import { Button, IconButton } from "../../ui/button.tsx";
import type { DiffItem } from "../../wire/types.ts";
import style from "./panel.module.css";
import { useHasSide } from "./view-settings.ts";

type SideProps = {
  readonly index: number;
  readonly files: readonly DiffItem[];
  readonly open: (file: string) => void;
  readonly box: Ref<HTMLDivElement>;
  /** The tree. */
  readonly children: ReactNode;
};

export function Side({ index, files, open, box, children }: SideProps): ReactNode {
  const hasSide = useHasSide();
  const [isWanted, want] = useState(false);
  if (hasSide)
    return (
      <div ref={box} className={style.side}>
        {children}
      </div>
    );
  const step = (by: number, label: string, icon: ReactNode): ReactNode => {
    const item = files[index + by];
    return (
      <IconButton label={label} disabled={item === undefined} onClick={() => item && open(item.file)}>
        {icon}
      </IconButton>
    );
  };
  return (
    <div ref={box} className={style.above}>
      <div className={style.steps}>
        {step(-1, "Previous file", <ChevronLeft size={18} />)}
        <Button kind="quiet" aria-expanded={isWanted} onClick={() => want(!isWanted)}>
          File {index + 1} of {files.length} <ChevronDown size={14} aria-hidden />
        </Button>
        {step(1, "Next file", <ChevronRight size={18} />)}
      </div>
      {isWanted && <div className={style.unfolded}>{children}</div>}
    </div>
  );
}
