import { PolicyError } from "./compile.ts";
import type { StandIns } from "./stand_in.ts";
import type { PolicyUpdate, StoredPolicy } from "./store.ts";

/**
 * Applies `update` to the store at `path` on a thread of its own. @returns it, with the first of `standIns` that fits.
 *
 * @throws {@link PolicyError} when the policy is refused; any other error when it could not be stored.
 */
export async function applyPolicy(
  path: string,
  update: PolicyUpdate,
  standIns: StandIns,
): Promise<StoredPolicy> {
  return (await askWorker(path, update, standIns))!;
}

/** Loads the policy in force from the store at `path` on a thread of its own. @throws when it cannot be read. */
export async function loadPolicy(
  path: string,
  standIns: StandIns,
): Promise<StoredPolicy | undefined> {
  return await askWorker(path, undefined, standIns);
}

async function askWorker(
  path: string,
  update: PolicyUpdate | undefined,
  standIns: StandIns,
): Promise<StoredPolicy | undefined> {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  try {
    return await new Promise<StoredPolicy | undefined>((resolve, reject) => {
      worker.onmessage = ({ data }) => {
        if (data.ok) resolve(data.policy);
        else reject(data.refused ? new PolicyError(data.message) : new Error(data.message));
      };
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(`policy worker: ${event.message}`));
      };
      worker.postMessage({ path, update, standIns });
    });
  } finally {
    worker.terminate();
  }
}
