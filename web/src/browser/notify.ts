/** Desktop notifications of what waits for a person. One tab of the browser sends them, by a lock that tabs share. */
import { oneLine } from "../core/text.ts";
import type { InboxItem } from "../wire/types.ts";
import { readSetting, writeSetting } from "./storage.ts";

const LOCK = "fleet.notify";

/** The person's choice, and what the browser allows. `unsupported`: plain HTTP from another machine, some phones. */
export type NotifyState = "on" | "off" | "blocked" | "unsupported";

export function notifyState(): NotifyState {
  if (!("Notification" in globalThis) || !isSecureContext) return "unsupported";
  if (Notification.permission === "denied") return "blocked";
  return readSetting("notify") === "on" && Notification.permission === "granted" ? "on" : "off";
}

/** Switch on or off. Asks the browser the first time, which needs a click. */
export async function setNotify(isOn: boolean): Promise<NotifyState> {
  if (isOn && notifyState() === "off" && Notification.permission === "default") await Notification.requestPermission();
  writeSetting("notify", isOn ? "on" : null);
  return notifyState();
}

/** Hold the right to notify while the page is open; returns when this tab has got it from a closed one. */
export function whenItIsOurTurn(begin: () => void): void {
  void navigator.locks?.request(LOCK, () => {
    begin();
    return new Promise<never>(() => undefined); // held until the tab is closed
  });
}

/** Show a notification. A click leads to the inbox or the session. */
export function notify(item: InboxItem, open: () => void): void {
  if (notifyState() !== "on" || document.visibilityState === "visible") return;
  const notification = new Notification(`${TITLES[item.kind]}: ${oneLine(item.title)}`, {
    body: oneLine(item.detail),
    tag: item.id,
  });
  notification.onclick = () => {
    window.focus();
    open();
    notification.close();
  };
}

const TITLES: Readonly<Record<InboxItem["kind"], string>> = {
  permission: "Permission asked",
  question: "Question",
  failure: "Failure",
  budget: "Budget used",
  callback: "Callback not delivered",
  setup: "Set-up to allow",
  delay: "No progress",
  webhook: "Webhook disabled",
};
