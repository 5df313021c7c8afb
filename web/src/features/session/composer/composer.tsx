/** The box for prompts at the foot of the session. */
import { Paperclip, SendHorizontal } from "lucide-react";
import {
  type ClipboardEvent,
  type DragEvent,
  type KeyboardEvent,
  type ReactNode,
  useMemo,
  useRef,
  useState,
} from "react";
import { flushSync } from "react-dom";
import { draftFile } from "../../../browser/files.ts";
import { isCoarse, isMac } from "../../../browser/platform.ts";
import { keysOf } from "../../../core/keymap.ts";
import { FILES_MAX } from "../../../core/prompting.ts";
import { hasEnded, isInTurn } from "../../../core/status.ts";
import { useActions } from "../../../state/actions.ts";
import { useOffered } from "../../../state/offers.ts";
import { Button, IconButton } from "../../../ui/button.tsx";
import { ProblemCard } from "../../../ui/states.tsx";
import { useOpen } from "../open.tsx";
import { Completions, useCompletions } from "./completions.tsx";
import style from "./composer.module.css";
import { FileList } from "./file-list.tsx";
import { usePromptHistory } from "./history.ts";
import { AgentPicker, ModelPicker } from "./pickers.tsx";
import { useDraft } from "./use-draft.ts";
import { useSend } from "./use-send.ts";

const TAKEN = "OpenCode takes texts, images and PDF files.";

export function Composer(): ReactNode {
  const { item, mayWrite, mayDraft } = useOpen();
  const offered = useOffered(item.sourceDirectory);
  const commands = useMemo(() => new Set(offered?.commands.map(each => each.name) ?? []), [offered]);
  const { draft, change, clear } = useDraft(item.id);
  const { isSending, problem, refuse, forget, send } = useSend(item, commands);
  const box = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const [isOver, setOver] = useState(false);
  const isEnded = hasEnded(item.status);
  const isWorking = isInTurn(item);
  const canSend = mayWrite && !isSending && (draft.text.trim() !== "" || draft.files.length > 0);

  const write = (text: string, caret?: number) => {
    if (caret === undefined) return change({ text });
    // At once: a key that is pressed before the next frame must find the caret at the end of the text.
    flushSync(() => change({ text }));
    box.current?.focus();
    box.current?.setSelectionRange(caret, caret);
  };
  const completions = useCompletions(box, draft.text, offered?.commands ?? [], write);
  const history = usePromptHistory(draft.text, write);

  useActions([mayDraft && { id: "composer.focus", label: "Write a prompt", run: () => box.current?.focus() }]);

  async function deliver(delivery: "queue" | "steer"): Promise<void> {
    if (!canSend) return;
    history.end();
    if (await send(draft, delivery)) clear();
    box.current?.focus();
  }

  async function addFiles(files: readonly File[]): Promise<void> {
    const read = await Promise.all(files.map(draftFile));
    const taken = read.filter(each => each !== null);
    const refused = files.filter((_, index) => read[index] === null);
    const all = [...draft.files, ...taken];
    if (refused.length > 0) refuse(`${refused.map(file => file.name).join(", ")} cannot be sent`, TAKEN);
    if (all.length > FILES_MAX) refuse(`A prompt takes ${FILES_MAX} files`);
    change({ files: all.slice(0, FILES_MAX) });
  }

  function onKeyDown(event: KeyboardEvent<HTMLTextAreaElement>): void {
    if (event.nativeEvent.isComposing) return;
    if (completions.onKeyDown(event) || history.onKeyDown(event)) return;
    if (event.key === "Escape") box.current?.blur();
    if (event.key !== "Enter" || event.shiftKey) return;
    if (event.altKey) {
      event.preventDefault();
      void deliver("steer");
    } else if (!isCoarse() || event.metaKey || event.ctrlKey) {
      event.preventDefault();
      void deliver("queue");
    }
  }

  function onPaste(event: ClipboardEvent): void {
    const files = [...event.clipboardData.files];
    if (files.length === 0) return;
    event.preventDefault();
    void addFiles(files);
  }

  function onDrop(event: DragEvent): void {
    event.preventDefault();
    setOver(false);
    void addFiles([...event.dataTransfer.files]);
  }

  if (!mayDraft && draft.text === "" && draft.files.length === 0) return null;
  return (
    <form
      className={style.composer}
      aria-label="Prompt"
      data-over={isOver || undefined}
      onSubmit={event => {
        event.preventDefault();
        void deliver("queue");
      }}
      onDragOver={event => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={onDrop}
    >
      {problem !== null && (
        <div className={style.problem}>
          <ProblemCard trouble={problem} />
          <Button size="small" onClick={forget}>
            Dismiss
          </Button>
        </div>
      )}
      <FileList files={draft.files} remove={id => change({ files: draft.files.filter(file => file.id !== id) })} />
      <div className={style.box}>
        <Completions {...completions} />
        <textarea
          ref={box}
          className={style.text}
          aria-label="Prompt"
          placeholder={isEnded ? "Write to resume the session" : "Write a prompt · / commands · @ files"}
          value={draft.text}
          readOnly={isSending || !mayDraft}
          rows={1}
          autoComplete="off"
          aria-autocomplete="list"
          aria-controls={completions.isOpen ? completions.listId : undefined}
          aria-activedescendant={completions.activeId}
          onChange={event => {
            history.end();
            write(event.target.value);
            completions.typed(event.target.selectionStart);
          }}
          onSelect={event => completions.typed(event.currentTarget.selectionStart)}
          onBlur={completions.close}
          onKeyDown={onKeyDown}
          onPaste={onPaste}
        />
      </div>
      <div className={style.bar}>
        <IconButton label="Attach files" size="small" disabled={!mayDraft} onClick={() => picker.current?.click()}>
          <Paperclip size={15} aria-hidden />
        </IconButton>
        <input
          ref={picker}
          type="file"
          multiple
          hidden
          aria-label="Files to attach"
          onChange={event => {
            void addFiles([...(event.target.files ?? [])]);
            event.target.value = "";
          }}
        />
        <AgentPicker offered={offered} item={item} value={draft.agent} onChange={agent => change({ agent })} />
        <ModelPicker offered={offered} item={item} value={draft.model} onChange={model => change({ model })} />
        <span className={style.hint}>{hintOf(isSending, isWorking, mayWrite)}</span>
        <Button
          kind="primary"
          type="submit"
          disabled={!canSend}
          isBusy={isSending}
          title={isCoarse() ? undefined : "Enter; Shift+Enter makes a new line"}
        >
          {isSending ? "Sending…" : isEnded ? "Resume and send" : isWorking ? "Queue" : "Send"}
          <SendHorizontal size={14} aria-hidden />
        </Button>
      </div>
      <span className="visually-hidden">{keysOf("composer.focus", isMac)[0]} writes a prompt</span>
    </form>
  );
}

function hintOf(isSending: boolean, isWorking: boolean, mayWrite: boolean): string {
  if (isSending) return "the text stays until the server has it";
  if (!mayWrite) return "the server is away: kept as a draft";
  if (!isWorking || isCoarse()) return "";
  return isMac ? "waits for the turn · ⌥↵ steers it" : "waits for the turn · Alt+Enter steers it";
}
