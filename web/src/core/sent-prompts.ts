/** Prompts on their way into a conversation: accepted by Fleet, then sent to OpenCode, and not stored there yet. */
import type { SessionPromptAccepted } from "../wire/api.ts";

type Prompt = Pick<SessionPromptAccepted, "command" | "text">;

export class SentPrompts {
  readonly #waiting = new Map<string, Prompt>();
  /** The message that each prompt was sent as. */
  readonly #sent = new Map<string, string>();

  accept(promptId: string, prompt: Prompt): void {
    this.#waiting.set(promptId, prompt);
  }

  edit(promptId: string, text: string): void {
    const known = this.#waiting.get(promptId);
    if (known !== undefined) this.#waiting.set(promptId, { ...known, text });
  }

  /** Return the text of a prompt that is sent now; null for an unknown one. */
  take(promptId: string): string | null {
    const prompt = this.#waiting.get(promptId);
    this.#waiting.delete(promptId);
    return prompt === undefined ? null : textOf(prompt);
  }

  sent(promptId: string, messageId: string): void {
    this.#sent.set(promptId, messageId);
  }

  /** Forget a prompt. Return the message that it was sent as. */
  withdraw(promptId: string): string | undefined {
    this.#waiting.delete(promptId);
    const messageId = this.#sent.get(promptId);
    this.#sent.delete(promptId);
    return messageId;
  }

  /** Forget what was sent. Return its messages. */
  endTurn(): readonly string[] {
    const messages = [...this.#sent.values()];
    this.#sent.clear();
    return messages;
  }
}

function textOf({ command, text }: Prompt): string {
  return command ? `/${command} ${text}`.trim() : text;
}
