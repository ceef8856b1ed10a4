import type { PolicySettings } from "../../api/types.ts";
import { DistrictError } from "../../errors.ts";
import type { ImportOutcome, ImportRow, PolicyCompiler, PolicyDocument } from "../contract.ts";

/** What is done on the file of people, away from the thread that takes events. */
export type Job =
  | { readonly kind: "compile" }
  | {
    readonly kind: "import";
    /** A CSV file as it came, or rows. */
    readonly source: Uint8Array | readonly ImportRow[];
    readonly dryRun: boolean;
  }
  | { readonly kind: "settings"; readonly settings: PolicySettings };

/** What each kind gives. */
export interface JobResults {
  readonly compile: PolicyDocument;
  readonly import: ImportOutcome;
  readonly settings: number;
}

/** What a worker is sent. */
export interface JobRequest {
  readonly path: string;
  readonly job: Job;
}

/** What a worker answers. */
export type JobAnswer =
  | { readonly ok: true; readonly result: JobResults[Job["kind"]] }
  | { readonly ok: false; readonly message: string };

/** Writers that wait for the one at work; each may hold 32 MiB. */
const WRITERS_WAITING_MAX = 4;

/**
 * Runs each job in a worker of its own, which ends with it: 200,000 people take some seconds and
 * some hundred MB, and ingest waits for neither. Writers go one after the other.
 */
export class Jobs implements AsyncDisposable {
  readonly #path: string;
  readonly #stops = new Set<() => void>();
  #writing: Promise<unknown> = Promise.resolve();
  #writers = 0;
  #closed = false;

  /** `path` is the file of people. */
  constructor(path: string) {
    this.#path = path;
  }

  /** Reads while others may write. @throws {@link DistrictError} */
  read<K extends "compile">(job: Extract<Job, { kind: K }>): Promise<JobResults[K]> {
    return this.#run(job);
  }

  /** Writes, when it is its turn. @throws {@link DistrictError} */
  async write<K extends "import" | "settings">(
    job: Extract<Job, { kind: K }>,
  ): Promise<JobResults[K]> {
    if (this.#writers > WRITERS_WAITING_MAX) {
      throw new DistrictError("busy", "other imports are under way; try again in a minute");
    }
    this.#writers++;
    const turn = this.#writing.then(() => this.#run(job));
    this.#writing = turn.catch(() => {}).finally(() => this.#writers--);
    return await turn;
  }

  /** Gives up what is under way: a transaction that was not committed leaves no trace. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const stop of [...this.#stops]) stop();
    return Promise.resolve();
  }

  #run<K extends Job["kind"]>(job: Extract<Job, { kind: K }>): Promise<JobResults[K]> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new DistrictError("store", "the district stops"));
      const worker = new Worker(new URL("./jobs_worker.ts", import.meta.url), { type: "module" });
      const stop = () => {
        this.#stops.delete(stop);
        worker.terminate();
        // Does nothing once it is resolved.
        reject(new DistrictError("store", "the district stopped meanwhile"));
      };
      this.#stops.add(stop);
      worker.onmessage = ({ data }: MessageEvent<JobAnswer>) => {
        if (data.ok) resolve(data.result as JobResults[K]);
        else reject(new DistrictError("invalid", data.message));
        stop();
      };
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new DistrictError("store", `${job.kind} failed: ${event.message}`));
        stop();
      };
      worker.postMessage({ path: this.#path, job } satisfies JobRequest);
    });
  }
}

/** Compiles in a worker. */
export class WorkerPolicyCompiler implements PolicyCompiler {
  readonly #jobs: Jobs;

  /** `path` is the file of people. */
  constructor(path: string) {
    this.#jobs = new Jobs(path);
  }

  /** @throws {@link DistrictError} */
  compile(): Promise<PolicyDocument> {
    return this.#jobs.read({ kind: "compile" });
  }

  /** Gives up what is under way. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#jobs[Symbol.asyncDispose]();
  }
}
