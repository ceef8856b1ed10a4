import { type CompiledPolicy, PolicyError } from "./compile.ts";
import type { PolicyUpdate } from "./store.ts";

/**
 * Applies `update` to the store at `path` on a thread of its own.
 *
 * @throws {@link PolicyError} when the policy is refused; any other error when it could not be stored.
 */
export async function applyPolicy(path: string, update: PolicyUpdate): Promise<CompiledPolicy> {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  try {
    return await new Promise<CompiledPolicy>((resolve, reject) => {
      worker.onmessage = ({ data }) => {
        if (data.compiled !== undefined) resolve(data.compiled);
        else reject(data.refused ? new PolicyError(data.message) : new Error(data.message));
      };
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(`policy worker: ${event.message}`));
      };
      worker.postMessage({ path, update });
    });
  } finally {
    worker.terminate();
  }
}
