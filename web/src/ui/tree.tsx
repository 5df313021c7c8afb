/** A tree of any size; only the visible rows are mounted. One row has the focus; arrow keys move it, open and close. */
import { defaultRangeExtractor, type Range, useVirtualizer } from "@tanstack/react-virtual";
import { ChevronDown, ChevronRight } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useCallback, useEffect, useRef, useState } from "react";
import { cx } from "./cx.ts";
import style from "./tree.module.css";

export type TreeEntry = {
  readonly key: string;
  /** 1 for the outermost. */
  readonly level: number;
  /** Its place among its siblings, from 1. */
  readonly place: number;
  readonly siblings: number;
  /** Null for a leaf. */
  readonly isOpen: boolean | null;
  /** Its text for screen readers. */
  readonly name: string;
  readonly content: ReactNode;
};

type TreeProps = {
  readonly label: string;
  readonly entries: readonly TreeEntry[];
  readonly selected: string | null;
  /** A leaf was chosen. */
  readonly onSelect: (key: string) => void;
  readonly onToggle: (key: string) => void;
  readonly className?: string | undefined;
};

const ROW_PX = 28;
const INDENT_PX = 14;

export function Tree({ label, entries, selected, onSelect, onToggle, className }: TreeProps): ReactNode {
  const scroller = useRef<HTMLDivElement>(null);
  const [focused, setFocused] = useState<string | null>(null);
  const indexOf = (key: string | null): number => entries.findIndex(entry => entry.key === key);
  const focusIndex = Math.max(0, indexOf(focused ?? selected));
  const rows = useVirtualizer({
    count: entries.length,
    getScrollElement: () => scroller.current,
    getItemKey: index => entries[index]?.key ?? index,
    estimateSize: () => ROW_PX,
    overscan: 12,
    // the focused row stays mounted, or the tree would lose the focus
    rangeExtractor: useCallback((range: Range) => withIndex(defaultRangeExtractor(range), focusIndex), [focusIndex]),
  });
  const selectedIndex = indexOf(selected);
  useEffect(() => {
    if (selectedIndex >= 0) rows.scrollToIndex(selectedIndex, { align: "auto" });
  }, [selectedIndex, rows]);

  const focus = (index: number): void => {
    const entry = entries[index];
    if (entry === undefined) return;
    setFocused(entry.key);
    rows.scrollToIndex(index, { align: "auto" });
    requestAnimationFrame(() => scroller.current?.querySelector<HTMLElement>(`[data-index="${index}"]`)?.focus());
  };
  const act = (entry: TreeEntry): void => (entry.isOpen === null ? onSelect(entry.key) : onToggle(entry.key));
  const onKeyDown = (event: KeyboardEvent): void => {
    const entry = entries[focusIndex];
    if (entry === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    const next = target(event.key, entries, focusIndex);
    if (typeof next === "number") focus(next);
    else if (next === "toggle") onToggle(entry.key);
    else if (next === "act") act(entry);
    else return;
    event.preventDefault();
  };

  return (
    <div ref={scroller} role="tree" aria-label={label} className={cx(style.tree, className)} onKeyDown={onKeyDown}>
      <div role="none" className={style.all} style={{ height: rows.getTotalSize() }}>
        {rows.getVirtualItems().map(row => {
          const entry = entries[row.index];
          if (entry === undefined) return null;
          return (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the tree takes the keys for all of its rows
            <div
              key={entry.key}
              ref={rows.measureElement}
              data-index={row.index}
              role="treeitem"
              aria-label={entry.name}
              aria-level={entry.level}
              aria-posinset={entry.place}
              aria-setsize={entry.siblings}
              aria-expanded={entry.isOpen ?? undefined}
              aria-selected={entry.key === selected}
              tabIndex={row.index === focusIndex ? 0 : -1}
              className={style.row}
              style={{ transform: `translateY(${row.start}px)`, paddingLeft: entry.level * INDENT_PX - 8 }}
              onFocus={() => setFocused(entry.key)}
              onClick={() => act(entry)}
            >
              <span className={style.arrow} aria-hidden>
                {entry.isOpen !== null && (entry.isOpen ? <ChevronDown size={14} /> : <ChevronRight size={14} />)}
              </span>
              {entry.content}
            </div>
          );
        })}
      </div>
    </div>
  );
}

function withIndex(indexes: number[], index: number): number[] {
  return indexes.includes(index) ? indexes : [...indexes, index].sort((one, other) => one - other);
}

/** Return the effect of a key: the index that gets the focus, open or close, or choose. */
function target(key: string, entries: readonly TreeEntry[], index: number): number | "toggle" | "act" | null {
  const entry = entries[index];
  const level = entry?.level ?? 1;
  switch (key) {
    case "ArrowDown":
      return Math.min(entries.length - 1, index + 1);
    case "ArrowUp":
      return Math.max(0, index - 1);
    case "Home":
      return 0;
    case "End":
      return entries.length - 1;
    case "ArrowRight":
      return entry?.isOpen === false ? "toggle" : entry?.isOpen ? index + 1 : null;
    case "ArrowLeft": {
      if (entry?.isOpen) return "toggle";
      const parent = entries.findLastIndex((each, at) => at < index && each.level < level);
      return parent < 0 ? null : parent;
    }
    case "Enter":
    case " ":
      return "act";
    default:
      return null;
  }
}
