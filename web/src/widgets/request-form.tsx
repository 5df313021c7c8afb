/** Answers one permission request or question, wherever it is shown: inbox, transcript, list. */
import { type MouseEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { isMac } from "../browser/platform.ts";
import { readSetting } from "../browser/storage.ts";
import { keysOf } from "../core/keymap.ts";
import { decodeRequest, isAnswered, type Permission, type Questions, wants } from "../core/requests.ts";
import { plain } from "../core/text.ts";
import { useActions } from "../state/actions.ts";
import { Refused } from "../state/commands.ts";
import { useCommand, useIsConnected, useMayChange } from "../state/context.tsx";
import { line } from "../state/trouble.ts";
import { Button } from "../ui/button.tsx";
import { Keys } from "../ui/keys.tsx";
import { say, sayError } from "../ui/toast.tsx";
import type { InboxItem } from "../wire/types.ts";
import style from "./request-form.module.css";

type RequestItem = NonNullable<InboxItem["request"]>;
type Reply = {
  readonly reply?: "once" | "always" | "reject";
  readonly message?: string;
  readonly answers?: readonly (readonly string[])[];
};

type RequestFormProps = {
  readonly sessionId: string;
  readonly request: RequestItem;
  /** Whether the keys of the inbox answer this request now; undefined if they never do. */
  readonly hasKeys?: boolean | undefined;
  /** The request does not wait any more; its form only keeps its place. */
  readonly isOver?: boolean;
};

/** Send an answer; if another person was faster, say who. */
function useReply(sessionId: string, requestId: string): readonly [boolean, (reply: Reply) => void] {
  const [isSending, setSending] = useState(false);
  const command = useCommand();
  async function send(reply: Reply): Promise<void> {
    setSending(true);
    try {
      await command("POST", `/api/sessions/${sessionId}/requests/${requestId}`, reply);
    } catch (error) {
      if (error instanceof Refused && error.problem.code === "request_answered") say(answeredBy(error));
      else sayError("The answer was not accepted", line(error));
      setSending(false); // on success the server takes the card away
    }
  }
  return [isSending, reply => void send(reply)];
}

function answeredBy(refused: Refused): string {
  const { answeredBy: who, reply } = refused.problem;
  if (typeof who !== "string") return "This was answered already";
  return `${who === "local" ? "Somebody at this machine" : who.replace(/^token:/, "")} answered this already${typeof reply === "string" ? `: ${reply}` : ""}`;
}

export function RequestForm({ sessionId, request, hasKeys, isOver = false }: RequestFormProps): ReactNode {
  const asked = decodeRequest(request);
  const [isSending, send] = useReply(sessionId, request.id);
  const mayChange = useMayChange();
  const isConnected = useIsConnected();
  const isSent = isSending || request.answered;
  const form = {
    note: isSent ? (isOver ? "The answer has arrived." : "The answer is on its way.") : null,
    isOff: isSent || isOver || !isConnected,
    mayChange,
    hasKeys,
    send,
  };
  return asked.kind === "permission" ? (
    <PermissionForm asked={asked} {...form} />
  ) : (
    <QuestionForm asked={asked} {...form} />
  );
}

type FormProps<Asked> = {
  readonly asked: Asked;
  /** What became of the answer; null without one. */
  readonly note: string | null;
  /** No answer can be sent now. The buttons stay, so that nothing moves. */
  readonly isOff: boolean;
  readonly mayChange: boolean;
  readonly hasKeys: boolean | undefined;
  readonly send: (reply: Reply) => void;
};

function PermissionForm({ asked, note, isOff, mayChange, hasKeys, send }: FormProps<Permission>): ReactNode {
  const [isRejecting, setRejecting] = useState(false);
  const [message, setMessage] = useState("");
  const ready = hasKeys === true && mayChange && !isOff;
  useActions([
    ready && { id: "request.once", label: "Allow once", run: () => send({ reply: "once" }) },
    ready && { id: "request.always", label: "Allow always", run: () => send({ reply: "always" }) },
    ready && { id: "request.reject", label: "Reject", run: () => setRejecting(true) },
  ]);
  const key = (action: "request.once" | "request.always" | "request.reject") =>
    hasKeys !== undefined && <Keys keys={keysOf(action, isMac)[0] ?? ""} isOn={hasKeys} />;
  return (
    <div className={style.form}>
      <p className={style.wants}>
        The agent wants to {wants(asked.permission)}
        {asked.permission !== "bash" && <span className={style.kind}> ({asked.permission})</span>}:
      </p>
      <pre className={style.what}>{plain(asked.what)}</pre>
      {asked.diff && (
        <details>
          <summary>Show the change</summary>
          <pre className={style.what}>{plain(asked.diff)}</pre>
        </details>
      )}
      {mayChange && !isRejecting && (
        <div className={style.acts}>
          <Button kind="primary" disabled={isOff} onClick={single(() => send({ reply: "once" }))}>
            Allow once {key("request.once")}
          </Button>
          <Button
            disabled={isOff}
            onClick={single(() => send({ reply: "always" }))}
            title={`For every session in this directory, until its OpenCode process ends: ${plain(asked.always.join(", "))}`}
          >
            Always{asked.always.length > 0 && <code className={style.rule}>{plain(asked.always.join(", "))}</code>}{" "}
            {key("request.always")}
          </Button>
          <Button kind="danger" disabled={isOff} onClick={() => setRejecting(true)}>
            Reject… {key("request.reject")}
          </Button>
        </div>
      )}
      {mayChange && isRejecting && (
        <form
          className={style.reject}
          onSubmit={event => {
            event.preventDefault();
            send(message.trim() === "" ? { reply: "reject" } : { reply: "reject", message: message.trim() });
          }}
        >
          <label className={style.label}>
            What is it to do instead? Without a word the turn ends.
            <input
              // biome-ignore lint/a11y/noAutofocus: the person has just asked for this field
              autoFocus
              className={style.input}
              value={message}
              onChange={event => setMessage(event.target.value)}
              onKeyDown={event => event.key === "Escape" && setRejecting(false)}
            />
          </label>
          <div className={style.acts}>
            <Button kind="danger" type="submit" disabled={isOff}>
              Reject
            </Button>
            <Button onClick={() => setRejecting(false)}>Back</Button>
          </div>
        </form>
      )}
      {note && <p className={style.note}>{note}</p>}
    </div>
  );
}

/** Ignore the second click of a double click: it may hit the next request, which the person has not read. */
function single(run: () => void): (event: MouseEvent) => void {
  return event => event.detail < 2 && run();
}

/** Handle digits while keys act on the form: the focus is on its card, which surrounds the form. */
function useDigits(isOn: boolean, take: (digit: number) => boolean): void {
  const newest = useRef(take);
  newest.current = take;
  useEffect(() => {
    if (!isOn || readSetting("single-keys") === "off") return;
    const listen = (event: KeyboardEvent): void => {
      if (
        event.defaultPrevented ||
        event.repeat ||
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        !/^[1-9]$/.test(event.key)
      )
        return;
      const target = event.target instanceof Element ? event.target : null;
      if (target?.closest("input,textarea,select,[role=dialog],[role=alertdialog],[role=menu],[role=listbox]")) return;
      if (newest.current(Number(event.key))) event.preventDefault();
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, [isOn]);
}

function QuestionForm({ asked, isOff, mayChange, hasKeys, send }: FormProps<Questions>): ReactNode {
  const [answers, setAnswers] = useState<readonly (readonly string[])[]>(asked.questions.map(() => []));
  const [own, setOwn] = useState<readonly string[]>(asked.questions.map(() => ""));
  const given = asked.questions.map((_, index) => {
    const text = own[index]?.trim() ?? "";
    return text === ""
      ? (answers[index] ?? [])
      : [...(asked.questions[index]?.isMultiple ? (answers[index] ?? []) : []), text];
  });
  const complete = isAnswered(asked.questions, given);
  const isSimple = asked.questions.length === 1 && asked.questions[0]?.isMultiple === false;

  function choose(index: number, label: string): void {
    const isMultiple = asked.questions[index]?.isMultiple ?? false;
    const before = answers[index] ?? [];
    const after = !isMultiple
      ? [label]
      : before.includes(label)
        ? before.filter(each => each !== label)
        : [...before, label];
    const next = answers.map((each, at) => (at === index ? after : each));
    setAnswers(next);
    if (isSimple) send({ answers: next });
  }

  const first = asked.questions[0];
  const mayDigit = hasKeys !== undefined && isSimple;
  const digits = mayDigit && hasKeys && mayChange && !isOff;
  useDigits(digits, digit => {
    const option = first?.options[digit - 1];
    if (option) choose(0, option.label);
    return option !== undefined;
  });
  return (
    <form
      className={style.form}
      onSubmit={event => {
        event.preventDefault();
        if (complete) send({ answers: given });
      }}
    >
      {asked.questions.map((question, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the questions of a request never change
        <fieldset key={index} className={style.question} disabled={isOff || !mayChange}>
          <legend className={style.wants}>{plain(question.question)}</legend>
          <div className={style.options}>
            {question.options.map((option, at) => (
              <Button
                key={option.label}
                kind={(answers[index] ?? []).includes(option.label) ? "primary" : "plain"}
                aria-pressed={(answers[index] ?? []).includes(option.label)}
                onClick={() => choose(index, option.label)}
                title={plain(option.description)}
                data-digit={index === 0 ? at + 1 : undefined}
              >
                {mayDigit && at < 9 && <Keys keys={String(at + 1)} isOn={digits} />} {plain(option.label)}
              </Button>
            ))}
          </div>
          <label className={style.label}>
            {question.options.length > 0 ? "Or in your own words" : "Your answer"}
            <input
              className={style.input}
              value={own[index] ?? ""}
              onChange={event => setOwn(own.map((each, at) => (at === index ? event.target.value : each)))}
            />
          </label>
        </fieldset>
      ))}
      {mayChange && (
        <div className={style.acts}>
          <Button kind="primary" type="submit" disabled={isOff || !complete}>
            Answer
          </Button>
          <Button kind="danger" disabled={isOff} onClick={() => send({ reply: "reject" })}>
            Dismiss
          </Button>
        </div>
      )}
    </form>
  );
}
