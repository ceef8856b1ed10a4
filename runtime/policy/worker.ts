/**
 * Applies or loads one policy off the door's thread, then ends: reading 200,000 credentials takes a
 * second and a hundred megabytes, and no tap may wait for either.
 *
 * @module
 */
import { buffersOf, PolicyError } from "./compile.ts";
import type { StandIns } from "./stand_in.ts";
import { PolicyStore, type PolicyUpdate } from "./store.ts";

interface Ask {
  readonly path: string;
  readonly update?: PolicyUpdate;
  readonly standIns: StandIns;
}

const scope = self as unknown as {
  onmessage: ((message: MessageEvent<Ask>) => void) | null;
  postMessage(message: unknown, transfer?: ArrayBuffer[]): void;
};

scope.onmessage = ({ data: { path, update, standIns } }) => {
  try {
    using store = new PolicyStore(path);
    if (update !== undefined) store.apply(update);
    const policy = store.load(standIns);
    scope.postMessage({ ok: true, policy }, policy === undefined ? [] : buffersOf(policy.compiled));
  } catch (cause) {
    const refused = cause instanceof PolicyError;
    scope.postMessage({ refused, message: (cause as Error).message });
  }
};
