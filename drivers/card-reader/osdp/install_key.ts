/**
 * Puts a key into a reader, as a person's act with an end.
 *
 * @module
 */
import type { Clock } from "../../../hal/mod.ts";
import type { Conversation } from "./conversation.ts";
import { checkKey, OsdpKeyError } from "./key.ts";

/** How long an installer has for bringing a reader into installation mode. */
const INSTALL_MS_MAX = 60_000;

/** What an installer's act needs besides the reader. */
export interface Bench {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Aborts when the bus is closed. */
  readonly closed: AbortSignal;
}

/** See {@link import("./bus.ts").OsdpBus.installKey}. */
export async function installKey(
  conversation: Conversation,
  { clock, signal, closed }: Bench,
  key: Uint8Array,
  options: { readonly from: "default" | "current"; readonly timeoutMs?: number },
): Promise<void> {
  checkKey(key);
  const ended = Promise.withResolvers<void>();
  const { link } = conversation;
  const giveUp = (error: (why: string) => unknown) => {
    const why = link.abandon();
    conversation.startAnew();
    ended.reject(error(why));
  };
  link.install(
    key.slice(),
    options.from,
    ended.resolve,
    (why) => giveUp(() => new OsdpKeyError("refused", why)),
  );
  conversation.startAnew();
  const cancel = clock.schedule(options.timeoutMs ?? INSTALL_MS_MAX, () => {
    giveUp((why) => new OsdpKeyError("timeout", `the key was not installed in time: ${why}`));
  });
  const aborted = () => giveUp(() => signal.reason);
  const atEnd = () => giveUp(() => new OsdpKeyError("closed", "the bus was closed"));
  signal.addEventListener("abort", aborted, { once: true });
  closed.addEventListener("abort", atEnd, { once: true });
  try {
    await ended.promise;
  } finally {
    cancel();
    signal.removeEventListener("abort", aborted);
    closed.removeEventListener("abort", atEnd);
  }
}
