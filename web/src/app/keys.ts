/** Listens to the keyboard once, for the whole page, by the table in `core/keymap.ts`. */
import { matchKeybindingPress, parseKeybinding } from "tinykeys";
import { readSetting } from "../browser/storage.ts";
import { type Binding, isSingle, KEYMAP, PRECEDENCE } from "../core/keymap.ts";
import { isRegistered, runAction } from "../state/actions.ts";

const SEQUENCE_MS = 1_000;
/** A key that is held down carries them out once: the next card has not been read. */
const ANSWERS = /^request\.(?:once|always|reject|retry)$/;

type Parsed = {
  readonly binding: Binding;
  readonly single: boolean;
  readonly presses: ReturnType<typeof parseKeybinding>;
};

const BINDINGS: readonly Parsed[] = [...(KEYMAP as readonly Binding[])]
  .sort((one, other) => PRECEDENCE.indexOf(one.where) - PRECEDENCE.indexOf(other.where))
  .flatMap(binding => binding.keys.map(keys => ({ binding, single: isSingle(keys), presses: parseKeybinding(keys) })));

/** Whether the element takes text: then single letters are input. A checkbox takes Space alone, a slider its arrows. */
function isField(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement && /^(?:checkbox|radio|button|range)$/.test(target.type)) return false;
  return (
    target.isContentEditable ||
    /^(?:input|textarea|select)$/i.test(target.tagName) ||
    target.closest("[role=textbox]") !== null
  );
}

/** Whether a control uses the key itself: a focused button uses Space, a menu uses letters. */
function isOwned(event: KeyboardEvent): boolean {
  const target = event.target instanceof Element ? event.target : null;
  if (target?.closest("[role=menu],[role=listbox],[role=dialog],[role=alertdialog]"))
    return !event.ctrlKey && !event.metaKey;
  return (
    event.key === " " &&
    target?.closest("button,a,input,summary,[role=tab],[role=switch],[role=checkbox]") !== null &&
    target !== null
  );
}

export function listenToKeys(): void {
  let begun: readonly { readonly parsed: Parsed; readonly done: number }[] = [];
  let sinceMs = 0;

  document.addEventListener("keydown", event => {
    if (event.defaultPrevented || event.isComposing || (event.repeat && event.key === "Escape")) return;
    if (/^(?:Shift|Control|Alt|Meta)$/.test(event.key)) return;
    const singlesOff = isField(event.target) || isOwned(event) || readSetting("single-keys") === "off";
    if (event.timeStamp - sinceMs > SEQUENCE_MS) begun = [];
    const candidates = [...begun, ...BINDINGS.map(parsed => ({ parsed, done: 0 }))];
    const open: { parsed: Parsed; done: number }[] = [];
    for (const { parsed, done } of candidates) {
      const press = parsed.presses[done];
      if (press === undefined || (parsed.single && singlesOff) || !matchKeybindingPress(event, press)) continue;
      if (!isRegistered(parsed.binding.action)) continue;
      if (done + 1 < parsed.presses.length) {
        open.push({ parsed, done: done + 1 });
        continue;
      }
      begun = [];
      event.preventDefault();
      if (event.repeat && ANSWERS.test(parsed.binding.action)) return;
      runAction(parsed.binding.action);
      return;
    }
    begun = open;
    sinceMs = event.timeStamp;
    if (open.length > 0) event.preventDefault();
  });
}
