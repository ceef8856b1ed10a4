import { join } from "node:path";
import type { RepositorySource } from "../trust/mod.ts";

/** What a source answers. */
export type Answer = Awaited<ReturnType<RepositorySource["get"]>>;

/** Serves a repository's folder, until a test puts something else in a file's place. */
export class FolderSource implements RepositorySource {
  readonly #folder: string;
  /** Answers by path, instead of the folder's. */
  readonly instead = new Map<string, (signal: AbortSignal, fromByte: number) => Promise<Answer>>();
  /** Every path that was asked for. */
  readonly asked: string[] = [];

  /** Serves `folder`. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** See {@link RepositorySource.get}. */
  get(path: string, signal: AbortSignal, fromByte = 0): Promise<Answer> {
    this.asked.push(fromByte === 0 ? path : `${path} from ${fromByte}`);
    const instead = this.instead.get(path);
    if (instead !== undefined) return instead(signal, fromByte);
    try {
      const bytes = Deno.readFileSync(join(this.#folder, path));
      return Promise.resolve(answer(bytes.subarray(fromByte), fromByte === 0 ? 200 : 206));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      return Promise.resolve({ status: 404, body: null });
    }
  }

  /** Serves `bytes` at `path`. */
  put(path: string, bytes: Uint8Array): void {
    this.instead.set(path, () => Promise.resolve(answer(bytes)));
  }
}

function answer(bytes: Uint8Array, status = 200): Answer {
  return { status, body: new Blob([bytes.slice()]).stream() };
}
