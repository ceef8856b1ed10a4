/**
 * Applies or loads one policy off the door's thread, then ends: reading 200,000 credentials takes a
 * second and a hundred megabytes, and no tap may wait for either.
 *
 * @module
 */
import { buffersOf, PolicyError } from "./compile.ts";
import { PolicyStore, type PolicyUpdate } from "./store.ts";

const scope = self as unknown as {
  onmessage: ((message: MessageEvent<{ path: string; update?: PolicyUpdate }>) => void) | null;
  postMessage(message: unknown, transfer?: ArrayBuffer[]): void;
};

scope.onmessage = ({ data: { path, update } }) => {
  try {
    using store = new PolicyStore(path);
    const policy = update === undefined
      ? store.load()
      : { source: update.source, compiled: store.apply(update) };
    scope.postMessage({ ok: true, policy }, policy === undefined ? [] : buffersOf(policy.compiled));
  } catch (cause) {
    const refused = cause instanceof PolicyError;
    scope.postMessage({ refused, message: (cause as Error).message });
  }
};
