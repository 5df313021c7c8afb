/** The settings: the theme, access, webhooks, workspace roots, and facts about this server. */
import { type ReactNode, useState } from "react";
import { notifyState, setNotify } from "../../browser/notify.ts";
import { readSetting, writeSetting } from "../../browser/storage.ts";
import { readDensity, readTheme, setDensity, setTheme, THEMES } from "../../browser/theme.ts";
import { bytes } from "../../core/text.ts";
import { moment } from "../../core/times.ts";
import { runAction } from "../../state/actions.ts";
import { useFleet, useMayChange } from "../../state/context.tsx";
import { useCell } from "../../state/store.ts";
import { Button } from "../../ui/button.tsx";
import { Check } from "../../ui/field.tsx";
import { Page, Section, pageStyle as style } from "../../ui/page.tsx";
import { Select } from "../../ui/select.tsx";
import { Access } from "./access.tsx";
import { Roots } from "./roots.tsx";
import { Webhooks } from "./webhooks.tsx";

export function SettingsPage(): ReactNode {
  const mayChange = useMayChange();
  return (
    <Page title="Settings">
      <Appearance />
      <Keyboard />
      <Notifications />
      <Access />
      {mayChange && <Webhooks />}
      <Roots />
      <About />
    </Page>
  );
}

function Appearance(): ReactNode {
  const [theme, chooseTheme] = useState(readTheme);
  const [density, chooseDensity] = useState(readDensity);
  return (
    <Section title="Appearance">
      <div className={style.row}>
        <Select
          label="Theme"
          showLabel
          value={theme}
          choices={THEMES}
          onChange={value => {
            setTheme(value);
            chooseTheme(value);
          }}
        />
        <Select
          label="Density"
          showLabel
          value={density}
          choices={[
            { value: "comfortable", label: "Comfortable" },
            { value: "compact", label: "Compact" },
          ]}
          onChange={value => {
            setDensity(value);
            chooseDensity(value);
          }}
        />
      </div>
    </Section>
  );
}

function Keyboard(): ReactNode {
  const [isOn, setOn] = useState(readSetting("single-keys") !== "off");
  return (
    <Section title="Keyboard">
      <div className={style.row}>
        <Check
          label="Single letters are shortcuts outside of fields"
          checked={isOn}
          onChange={next => {
            writeSetting("single-keys", next ? null : "off");
            setOn(next);
          }}
        />
        <Button size="small" onClick={() => runAction("keys.show")}>
          Show all keys
        </Button>
      </div>
    </Section>
  );
}

const WHY_NOT = {
  unsupported: "This browser has no notifications here: they need https or localhost.",
  blocked: "The browser blocks notifications of this page. Its own settings allow them again.",
} as const;

function Notifications(): ReactNode {
  const [state, setState] = useState(notifyState);
  return (
    <Section
      title="Notifications"
      note="A desktop notification for each new item in your inbox while this tab is hidden."
    >
      {state === "unsupported" || state === "blocked" ? (
        <p className={style.note}>{WHY_NOT[state]}</p>
      ) : (
        <Check label="Notify me" checked={state === "on"} onChange={isOn => void setNotify(isOn).then(setState)} />
      )}
    </Section>
  );
}

function About(): ReactNode {
  const info = useCell(useFleet().info);
  if (!info) return null;
  return (
    <Section title="About this server">
      <p>
        Fleet {info.version}
        {info.opencodeVersion && `, OpenCode ${info.opencodeVersion}`}
        {info.rehearsal && ", with the rehearsal model: it is scripted and costs nothing"}. Started{" "}
        {moment(info.startedAt)}. The log has {info.position.toLocaleString("en-US")} events. A request may be up to{" "}
        {bytes(info.limits.bodyBytes)}.
      </p>
      <p>
        <a href="/api/docs">The API for programs</a>
      </p>
    </Section>
  );
}
