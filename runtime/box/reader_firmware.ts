import { createHash } from "node:crypto";
import type { CardReader, ReaderFile, ReaderFirmware } from "../../drivers/contract.ts";
import type { Clock } from "../../hal/mod.ts";
import {
  type FirmwareOrder,
  type ReaderReport,
  readOrder,
  readReport,
  writeReport,
} from "../../ota/firmware/order.ts";
import type { BoxEvent } from "../../sync/wire/mod.ts";
import type { Log } from "../log.ts";
import { readPart } from "../read_part.ts";

/** What a {@link FirmwareCourier} is made of. */
export interface FirmwareCourierOptions {
  readonly readers: ReadonlyMap<string, CardReader>;
  /** Where the updater leaves its order. */
  readonly order: string;
  /** Where the box says how far it is. */
  readonly report: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Puts on record what a reader was given. */
  readonly record: (event: BoxEvent) => void;
}

const LOOK_EVERY_MS = 2_000;
/** How long a reader may take to say who it is: a box has just started, a reader restarts. */
const IDENTITY_MS_MAX = 120_000;
/** How long one that is back with its new firmware may go on saying something else. */
const SETTLE_MS_MAX = 30_000;
/** How often a transfer's place is written down: an SD card bears it, and little is sent twice. */
const SAVE_EVERY_BYTES = 16_384;
const READ_BYTES = 65_536;

/**
 * Gives readers the firmware that the updater orders, one after the other: a door of two keeps one that
 * works, and the first that fails is the last that was touched. It goes on after a restart where it was.
 */
export class FirmwareCourier implements AsyncDisposable {
  readonly #options: FirmwareCourierOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  /** Begins to look for orders. */
  constructor(options: FirmwareCourierOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Stops a transfer where it is; the next start goes on there. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("the box stops"));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { order: path, report, clock } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const order = readOrder(path);
      const said = order && readReport(report);
      if (order !== undefined && !(said?.sha256 === order.sha256 && said.over)) {
        await this.#whileOrdered(order, (ordered) => this.#carryOut(order, ordered));
      }
      await clock.sleep(LOOK_EVERY_MS, signal).catch(() => {});
    }
  }

  /** Ends `act` when the order is withdrawn, or another takes its place. */
  async #whileOrdered(
    { sha256 }: FirmwareOrder,
    act: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const { order: path, clock, log } = this.#options;
    const withdrawn = new AbortController();
    const over = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, withdrawn.signal]);
    const watching = (async () => {
      while (!over.signal.aborted) {
        await clock.sleep(LOOK_EVERY_MS, over.signal).catch(() => {});
        if (readOrder(path)?.sha256 !== sha256) withdrawn.abort(new Error("it was withdrawn"));
      }
    })();
    try {
      await act(signal);
    } catch (cause) {
      const why = (cause as Error).message;
      if (!this.#stop.signal.aborted) log.warn("readers keep their firmware", { why });
    } finally {
      over.abort();
      await watching;
    }
  }

  async #carryOut(order: FirmwareOrder, signal: AbortSignal): Promise<void> {
    const { sha256, version, file: path } = order;
    using file = await openFile(path, sha256);
    if (file === undefined) {
      this.#say(order, [], {
        over: true,
        fault: "the file of the firmware is not what was signed",
      });
      return;
    }
    const before = readReport(this.#options.report);
    const sentBefore = new Map(
      before?.sha256 === sha256 ? before.readers.map((one) => [one.reader, one.sentBytes]) : [],
    );
    const readers: ReaderReport[] = [];
    for (const [reader, { firmware }] of this.#options.readers) {
      if (firmware === undefined) continue;
      const is = await this.#identity(firmware, signal);
      const sentBytes = sentBefore.get(reader) ?? 0;
      if (is === undefined) {
        const detail = "it does not answer, so that nobody knows whether it is of this model";
        readers.push({ reader, state: "failed", sentBytes, detail });
      } else if (is.vendor === order.vendor && is.model === order.model) {
        readers.push({ reader, state: is.firmware === version ? "done" : "waiting", sentBytes });
      }
    }
    this.#say(order, readers, { over: false });
    for (const [index, { reader, state }] of readers.entries()) {
      // One that is not well already: no other is put at risk.
      if (readers.some((one) => one.state === "failed")) break;
      if (state !== "waiting") continue;
      await this.#give(order, file, readers, index, signal);
      const { state: now, detail = "" } = readers[index]!;
      this.#options.log.info("reader firmware", { reader, version, state: now, detail });
      if (now === "done") {
        this.#options.record({ kind: "reader.firmware", reader, firmware: version });
      }
    }
    this.#say(order, readers, { over: true });
  }

  /** Gives one reader the file, and sees that it says so. */
  async #give(
    order: FirmwareOrder,
    file: ReaderFile,
    readers: ReaderReport[],
    index: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { reader, sentBytes: fromOffset } = readers[index]!;
    const firmware = this.#options.readers.get(reader)!.firmware!;
    let saved = fromOffset;
    const now = (change: Omit<ReaderReport, "reader">) => {
      readers[index] = { reader, ...change };
      this.#say(order, readers, { over: false });
    };
    now({ state: "sending", sentBytes: fromOffset });
    try {
      await firmware.take(file, {
        type: order.fileType,
        fromOffset: fromOffset < file.size ? fromOffset : 0,
        onProgress: (sentBytes) => {
          if (Math.abs(sentBytes - saved) < SAVE_EVERY_BYTES) return;
          saved = sentBytes;
          now({ state: "sending", sentBytes });
        },
      }, signal);
      const is = await this.#identity(firmware, signal, order.version);
      const says = is?.firmware;
      const detail = `it took the file and says firmware ${
        says ?? "nothing"
      }, not ${order.version}`;
      now(
        says === order.version
          ? { state: "done", sentBytes: file.size }
          : { state: "failed", sentBytes: file.size, detail },
      );
    } catch (cause) {
      signal.throwIfAborted();
      now({ state: "failed", sentBytes: saved, detail: (cause as Error).message });
    }
  }

  /** What a reader says of itself, once it says it, or says `version`. */
  async #identity(
    firmware: ReaderFirmware,
    signal: AbortSignal,
    version?: string,
  ): Promise<ReturnType<ReaderFirmware["identity"]>> {
    const { clock } = this.#options;
    const endMs = clock.monotonicMs() +
      (version === undefined ? IDENTITY_MS_MAX : SETTLE_MS_MAX);
    for (;;) {
      const is = firmware.identity();
      const said = is !== undefined && (version === undefined || is.firmware === version);
      if (said || clock.monotonicMs() >= endMs) return is;
      await clock.sleep(LOOK_EVERY_MS / 4, signal);
    }
  }

  #say(
    { sha256 }: FirmwareOrder,
    readers: readonly ReaderReport[],
    how: { readonly over: boolean; readonly fault?: string },
  ): void {
    writeReport(this.#options.report, { sha256, readers, ...how });
  }
}

/** The file, if it is what was signed. */
async function openFile(
  path: string,
  sha256: string,
): Promise<(ReaderFile & Disposable) | undefined> {
  let handle: Deno.FsFile;
  try {
    handle = await Deno.open(path);
  } catch {
    return undefined;
  }
  const { size } = await handle.stat();
  const read = (at: number, length: number) => readPart(handle, at, length);
  const hash = createHash("sha256");
  for (let at = 0; at < size; at += READ_BYTES) hash.update(await read(at, READ_BYTES));
  if (hash.digest("hex") === sha256) return { size, read, [Symbol.dispose]: () => handle.close() };
  handle.close();
  return undefined;
}
