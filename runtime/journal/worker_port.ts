import { JournalError } from "./contract.ts";
import type { JournalReply, JournalRequest, JournalResult } from "./protocol.ts";

/** A request without its number, which the port gives. */
export type Unnumbered = JournalRequest extends infer R ? R extends unknown ? Omit<R, "id"> : never
  : never;

/** An answer of one kind. */
export type ReplyOf<K extends JournalResult["kind"]> = JournalReply & {
  readonly result: Extract<JournalResult, { kind: K }>;
};

interface Asked {
  readonly kind: JournalResult["kind"];
  readonly resolve: (reply: JournalReply) => void;
  readonly reject: (error: JournalError) => void;
}

/** The main side's end of the worker. */
export class WorkerPort {
  /** Sees each answer before whoever asked does. */
  onReply: (reply: JournalReply) => void = () => {};
  readonly #worker: Worker;
  readonly #asked = new Map<number, Asked>();
  readonly #idle: (() => void)[] = [];
  #lastId = 0;
  #dead: JournalError | undefined;

  /** Starts the worker. */
  constructor() {
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url), {
      type: "module",
      name: "journal",
    });
    this.#worker.onmessage = ({ data }: MessageEvent<JournalReply>) => this.#take(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#die(new JournalError("store", `the journal's worker ended: ${event.message}`));
    };
    this.#worker.onmessageerror = () =>
      this.#die(new JournalError("store", "the journal's worker cannot be understood"));
  }

  /**
   * Asks the worker.
   *
   * @throws {@link JournalError} when it could not do it.
   */
  ask<K extends JournalResult["kind"]>(request: Unnumbered, kind: K): Promise<ReplyOf<K>> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { kind, resolve: resolve as (reply: JournalReply) => void, reject });
      const transfer = request.kind === "commit" ? [request.bytes] : [];
      this.#worker.postMessage({ ...request, id }, transfer);
    });
  }

  /** Resolves when nothing is asked that was not answered, and nobody asks right after. */
  async idle(): Promise<void> {
    while (this.#asked.size > 0) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
      // Whoever was answered last may ask for more first.
      for (let i = 0; i < 8; i++) await Promise.resolve();
    }
  }

  /** Ends the worker. */
  terminate(): void {
    this.#worker.terminate();
    this.#die(new JournalError("closed", "the journal is closed"));
  }

  #take(reply: JournalReply): void {
    const asked = this.#asked.get(reply.id);
    if (asked === undefined) return;
    this.#asked.delete(reply.id);
    this.onReply(reply);
    const { result } = reply;
    if (result.kind === asked.kind) asked.resolve(reply);
    else {
      asked.reject(
        result.kind === "failed"
          ? new JournalError(result.error, result.message)
          : new JournalError("store", `asked for ${asked.kind}, got ${result.kind}`),
      );
    }
    this.#settle();
  }

  #die(error: JournalError): void {
    this.#dead ??= error;
    for (const { reject } of this.#asked.values()) reject(error);
    this.#asked.clear();
    this.#settle();
  }

  #settle(): void {
    if (this.#asked.size === 0) { for (const resolve of this.#idle.splice(0)) resolve(); }
  }
}
