import { DistrictError } from "../../errors.ts";
import type { PolicyCompiler, PolicyDocument } from "../contract.ts";

/** What the worker answers. */
export type CompileAnswer =
  | ({ readonly ok: true } & PolicyDocument)
  | { readonly ok: false; readonly message: string };

/**
 * Compiles in a worker with its own connection: 200,000 credentials take seconds of one core, and
 * ingest must not wait for them. The worker ends with each compilation, and its memory with it.
 */
export class WorkerPolicyCompiler implements PolicyCompiler {
  readonly #path: string;
  readonly #running = new Set<() => void>();

  /** `path` is the store's file. */
  constructor(path: string) {
    this.#path = path;
  }

  /** @throws {@link DistrictError} */
  compile(): Promise<PolicyDocument> {
    const worker = new Worker(new URL("./policy_worker.ts", import.meta.url), { type: "module" });
    return new Promise<PolicyDocument>((resolve, reject) => {
      const stop = () => {
        this.#running.delete(stop);
        worker.terminate();
        reject(
          new DistrictError("store", "the policy was being compiled when the district stopped"),
        );
      };
      this.#running.add(stop);
      worker.onmessage = ({ data }: MessageEvent<CompileAnswer>) => {
        if (data.ok) resolve({ version: data.version, document: data.document });
        else reject(new DistrictError("invalid", data.message));
        stop();
      };
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new DistrictError("store", `the policy could not be compiled: ${event.message}`));
        stop();
      };
      worker.postMessage(this.#path);
    });
  }

  /** Stops what is under way. */
  [Symbol.asyncDispose](): Promise<void> {
    for (const stop of [...this.#running]) stop();
    return Promise.resolve();
  }
}
