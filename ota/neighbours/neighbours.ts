import type { Clock } from "../../hal/mod.ts";
import { download } from "../fetch/mod.ts";
import { type RepositorySource, type TrustedTarget, TrustError } from "../trust/mod.ts";
import { Finder, type Neighbour } from "./finder.ts";
import { type Answer, Share } from "./share.ts";

/** What {@link Neighbours} are made of. */
export interface NeighboursOptions {
  /** Folder for what is shared. */
  readonly dir: string;
  /** Where it is shared; 0 takes a free port. */
  readonly port: number;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: (message: string, fields?: Readonly<Record<string, string | number>>) => void;
  /** The most that is taken a second, in bytes; unbounded without it. */
  readonly bytesPerSecondMax?: number;
  /** This machine's address on the one network that is meant; without it, every network it is on. */
  readonly network?: string;
}

/** Smaller files, most deltas, cost the line less than asking does. */
const BYTES_MIN = 64 << 10;
/** Boxes that begin at once spread over this before the first of them takes the line, in ms. */
const SPREAD_MS = 10_000;
/** How often one asks again whether a neighbour has it by now. */
const AGAIN_MS = 2_000;
/** After this the district is asked, whatever neighbours say. */
const WAIT_MS_MAX = 10 * 60_000;
const ASK_MS_MAX = 3_000;
/** A neighbour that is slower than the slowest line helps nobody. */
const BYTES_PER_SECOND_MIN = 50_000;
const WHOLE_MS_MIN = 20_000;

/**
 * Boxes of one network that give each other what they have fetched. Content is held against the hash that
 * the publisher signed, so nobody has to trust a neighbour: one that lies is named and left alone.
 */
export class Neighbours implements AsyncDisposable {
  readonly #options: NeighboursOptions;
  readonly #share: Share;
  readonly #finder: Finder;
  /** Who gave a wrong file, as long as this runs. */
  readonly #liars = new Set<string>();

  private constructor(options: NeighboursOptions, share: Share) {
    const { log } = options;
    this.#options = options;
    this.#share = share;
    const onFault = (why: string) => log("neighbours cannot be found", { why });
    this.#finder = new Finder(share.port, { ...options, onFault });
  }

  /** Shares and is found. @throws when the port is taken. */
  static open(options: NeighboursOptions): Neighbours {
    const { dir, port, clock } = options;
    return new Neighbours(options, Share.open(dir, port, clock));
  }

  /** Where it shares. */
  get port(): number {
    return this.#share.port;
  }

  /**
   * Brings `target` to `file`: from a neighbour that has it, or will soon; else by `fetch`, from the
   * district. Others get it from here then.
   *
   * @throws what `fetch` throws; the signal's reason
   */
  async bring(
    target: TrustedTarget,
    file: string,
    fetch: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    if (target.lengthBytes < BYTES_MIN) return await fetch();
    const isHere = await this.#fromNear(target, file, signal);
    using _coming = this.#share.coming(target.sha256);
    if (!isHere) await fetch();
    try {
      await this.#share.offer(file, target.sha256);
    } catch (error) {
      this.#options.log("not shared with neighbours", { path: target.path, why: String(error) });
    }
  }

  /** Whether a neighbour had it. */
  async #fromNear(target: TrustedTarget, file: string, signal: AbortSignal): Promise<boolean> {
    const { clock, random } = this.#options;
    const endMs = clock.monotonicMs() + WAIT_MS_MAX;
    const tried = new Set(this.#liars);
    let hasSpread = false;
    while (clock.monotonicMs() < endMs) {
      const near = (await this.#finder.look(signal)).filter(({ address }) => !tried.has(address));
      if (near.length === 0) return false;
      const answers = await this.#ask(near, target.sha256, signal);
      for (
        const { neighbour } of shuffled(answers.filter(({ answer }) => answer === "has"), random)
      ) {
        if (await this.#take(neighbour, target, file, signal)) return true;
        tried.add(neighbour.address);
      }
      const willHave = answers.some(({ answer }) => answer === "will have");
      if (!willHave && hasSpread) return false;
      await clock.sleep(willHave ? AGAIN_MS : random() * SPREAD_MS, signal);
      hasSpread ||= !willHave;
    }
    return false;
  }

  async #ask(near: readonly Neighbour[], sha256: string, signal: AbortSignal) {
    return await Promise.all(near.map(async (neighbour) => ({
      neighbour,
      answer: await this.#askOne(neighbour, sha256, signal),
    })));
  }

  async #askOne(neighbour: Neighbour, sha256: string, signal: AbortSignal): Promise<Answer> {
    const late = new AbortController();
    const cancel = this.#options.clock.schedule(ASK_MS_MAX, () => late.abort());
    try {
      const { status, body } = await fetch(urlOf(neighbour, sha256), {
        method: "HEAD",
        redirect: "error",
        signal: AbortSignal.any([signal, late.signal]),
      });
      await body?.cancel();
      return status === 200 ? "has" : status === 503 ? "will have" : "has not";
    } catch {
      signal.throwIfAborted();
      return "has not";
    } finally {
      cancel();
    }
  }

  /** Whether it came, and is what it should be. */
  async #take(
    neighbour: Neighbour,
    target: TrustedTarget,
    file: string,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { clock, log, bytesPerSecondMax } = this.#options;
    const { address } = neighbour;
    const near = `${file}.near`;
    // Nobody could say who spoilt a part that came from two.
    await Deno.remove(`${near}.part`).catch(() => {});
    const rate = Math.min(BYTES_PER_SECOND_MIN, (bytesPerSecondMax ?? Infinity) / 2);
    try {
      await download(target, {
        source: sourceOf(neighbour, target.sha256),
        clock,
        file: near,
        wholeMsMax: Math.max(WHOLE_MS_MIN, target.lengthBytes / rate * 1_000),
        ...bytesPerSecondMax === undefined ? {} : { bytesPerSecondMax },
      }, signal);
      await Deno.rename(near, file);
      log("fetched from a neighbour", { path: target.path, address });
      return true;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TrustError) || error.kind === "store") throw error;
      const isLie = error.kind === "refused" || error.kind === "too-large";
      if (isLie) this.#liars.add(address);
      log(isLie ? "a neighbour gave a wrong file" : "a neighbour did not give a file", {
        path: target.path,
        address,
        why: error.message,
      });
      return false;
    }
  }

  /** Shares nothing any more; who reads is cut off. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#finder[Symbol.dispose]();
    await this.#share[Symbol.asyncDispose]();
  }
}

function urlOf({ address, port }: Neighbour, sha256: string): string {
  return `http://${address}:${port}/${sha256}`;
}

/** A neighbour as a repository that has one file. */
function sourceOf(neighbour: Neighbour, sha256: string): RepositorySource {
  return {
    async get(_path, signal, fromByte = 0) {
      const headers: Record<string, string> = fromByte === 0 ? {} : { range: `bytes=${fromByte}-` };
      return await fetch(urlOf(neighbour, sha256), { headers, redirect: "error", signal });
    },
  };
}

function shuffled<T>(list: readonly T[], random: () => number): T[] {
  return list.map((one) => [random(), one] as const).sort(([a], [b]) => a - b).map(([, one]) =>
    one
  );
}
