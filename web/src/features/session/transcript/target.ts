/** The message that the address names. */
import { useNavigate, useRouterState, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { useTurns } from "../turns.tsx";

/** `nonce` is new with every navigation: the same turn may be asked for twice. */
export type Target = { readonly messageId: string; readonly nonce: unknown };

/** Return the named message, or the first message of the named turn. */
export function useTarget(): Target | null {
  const { message, turn } = useSearch({ from: "/s/$id" });
  const nonce = useRouterState({ select: state => state.location.state.__TSR_key });
  const turns = useTurns();
  const messageId = message ?? (turn === undefined ? undefined : turns.byNumber.get(Number(turn))?.messageId);
  return useMemo(() => (messageId === undefined ? null : { messageId, nonce }), [messageId, nonce]);
}

/** Return the function that removes the message from the address when the reader scrolls elsewhere. */
export function useForgetTarget(): () => void {
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  return () => {
    const { message, turn, ...rest } = search;
    if (message !== undefined || turn !== undefined) void navigate({ to: ".", search: rest, replace: true });
  };
}
