import type { Conversation } from "./conversation.ts";
import type { Bench } from "./install_key.ts";

/**
 * Waits until a reader can be talked to; `false` when it is not within `withinMs`.
 *
 * @throws the reason of the caller's or the bus' signal.
 */
export async function waitOnline(
  conversation: Conversation,
  { clock, signal, closed }: Bench,
  withinMs: number,
): Promise<boolean> {
  const over = new AbortController();
  const cancelTimer = clock.schedule(withinMs, () => over.abort());
  const online = Promise.withResolvers<void>();
  const cancel = conversation.presence.onReady(() => online.resolve());
  const stop = () => online.resolve();
  const signals = [over.signal, signal, closed];
  for (const one of signals) one.addEventListener("abort", stop, { once: true });
  try {
    signal.throwIfAborted();
    closed.throwIfAborted();
    if (!conversation.ready) await online.promise;
    signal.throwIfAborted();
    closed.throwIfAborted();
    return conversation.ready;
  } finally {
    cancel();
    cancelTimer();
    for (const one of signals) one.removeEventListener("abort", stop);
  }
}
