/** Tabs. The caller renders the panels; only the open one is mounted. */
import { Tabs as Base } from "@base-ui/react/tabs";
import type { ReactNode } from "react";
import style from "./tabs.module.css";

export type TabEntry<Value extends string> = { readonly value: Value; readonly label: ReactNode };

type TabsProps<Value extends string> = {
  readonly label: string;
  readonly value: Value;
  readonly tabs: readonly TabEntry<Value>[];
  readonly onChange: (value: Value) => void;
  readonly className?: string | undefined;
  /** The panel of the open tab. */
  readonly children: ReactNode;
  readonly panelClassName?: string | undefined;
};

export function Tabs<Value extends string>(props: TabsProps<Value>): ReactNode {
  return (
    <Base.Root value={props.value} onValueChange={value => props.onChange(value as Value)} className={props.className}>
      <Base.List className={style.list} aria-label={props.label}>
        {props.tabs.map(tab => (
          <Base.Tab key={tab.value} value={tab.value} className={style.tab}>
            {tab.label}
          </Base.Tab>
        ))}
      </Base.List>
      <Base.Panel value={props.value} className={props.panelClassName} tabIndex={-1}>
        {props.children}
      </Base.Panel>
    </Base.Root>
  );
}
