/**
 * Owns one Modbus line: opens it, opens it again when it is lost, and gives each board its turn.
 *
 * @module
 */
import { type Cancel, HalError, type SerialPort } from "../../../hal/mod.ts";
import type { Expander, ExpanderBus, SerialDriverHost } from "../../contract.ts";
import { ModbusBoard } from "./board.ts";
import { loadModbus, ModbusClient, type ModbusLibrary } from "./client.ts";
import type { ModbusOptions } from "./options.ts";

const REOPEN_MS_MIN = 250;
const REOPEN_MS_MAX = 5_000;
/** After a turn that a failing board did not answer, the others have the line for this long. */
const FAILING_GAP_MS = 400;
/** Orders that may go before reads in a row: they must not keep every input from being heard. */
const URGENT_RUN_MAX = 8;

/** Several boards on one line. */
export class ModbusBus implements ExpanderBus {
  readonly #host: SerialDriverHost;
  readonly #boards: readonly ModbusBoard[];
  readonly #library: ModbusLibrary;
  readonly #abort = new AbortController();
  #client: ModbusClient | undefined;
  #running: Promise<void> = Promise.resolve();
  /** Ends the rest before the next turn. */
  #rouse: (() => void) | undefined;
  #failingFreeMs = 0;
  #urgentRun = 0;

  private constructor(
    host: SerialDriverHost,
    options: readonly ModbusOptions[],
    library: ModbusLibrary,
  ) {
    this.#host = host;
    this.#library = library;
    this.#boards = options.map((one) =>
      new ModbusBoard(one, host.clock, host.log, () => this.#rouse?.())
    );
  }

  /**
   * Takes the line and starts asking; resolves after the first attempt to open it.
   *
   * @throws RangeError when two boards have one address; the signal's reason.
   */
  static async open(
    host: SerialDriverHost,
    options: readonly ModbusOptions[],
    signal: AbortSignal,
  ): Promise<ModbusBus> {
    signal.throwIfAborted();
    if (new Set(options.map((one) => one.address)).size !== options.length) {
      throw new RangeError("two boards have the same address; give each its own");
    }
    const library = await loadModbus();
    signal.throwIfAborted();
    const bus = new ModbusBus(host, options, library);
    const end = () => void bus[Symbol.asyncDispose]();
    signal.addEventListener("abort", end, { once: true });
    bus.#abort.signal.addEventListener("abort", () => signal.removeEventListener("abort", end));
    const first = await bus.#tryOpen();
    bus.#running = bus.#run(first);
    signal.throwIfAborted();
    return bus;
  }

  /** In the order of the options. */
  get expanders(): readonly Expander[] {
    return this.#boards.map((board) => board.lines);
  }

  /** Closes the port and reports each board offline. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#abort.signal.aborted) {
      this.#abort.abort(new HalError("disconnected", "the Modbus line was closed"));
      this.#rouse?.();
      // Ends an exchange that waits for its answer.
      await this.#client?.[Symbol.asyncDispose]();
    }
    await this.#running;
  }

  async #tryOpen(): Promise<SerialPort | undefined> {
    try {
      return await this.#host.openPort(this.#abort.signal);
    } catch (cause) {
      if (!this.#abort.signal.aborted) {
        this.#host.log("warn", "the serial port cannot be opened; trying again", {
          cause: (cause as Error).message,
        });
      }
      return undefined;
    }
  }

  /** Serves the line, and waits for it to come back, until disposal. */
  async #run(first: SerialPort | undefined): Promise<void> {
    const { signal } = this.#abort;
    let port = first;
    let waitMs = REOPEN_MS_MIN;
    for (;;) {
      if (port !== undefined) {
        waitMs = REOPEN_MS_MIN;
        await this.#serve(port);
      }
      if (signal.aborted) return;
      await this.#host.clock.sleep(waitMs, signal).catch(() => {});
      if (signal.aborted) return;
      waitMs = Math.min(waitMs * 2, REOPEN_MS_MAX);
      port = await this.#tryOpen();
    }
  }

  async #serve(port: SerialPort): Promise<void> {
    const { clock, log } = this.#host;
    const { signal } = this.#abort;
    let open = true;
    let client: ModbusClient | undefined;
    try {
      client = await ModbusClient.open(clock, port, this.#library, () => {
        open = false;
        this.#rouse?.();
      });
      this.#client = client;
      for (const board of this.#boards) board.connected();
      while (!signal.aborted) {
        const nowMs = clock.monotonicMs();
        const { board, atMs } = this.#pick(nowMs);
        const waitMs = Math.max(atMs, client.quietAtMs()) - nowMs;
        if (waitMs > 0 && open) {
          await this.#rest(waitMs);
          continue;
        }
        this.#urgentRun = board.urgent ? this.#urgentRun + 1 : 0;
        const turn = board.next(nowMs);
        const { address, replyMs } = board.options;
        const result = await client.exchange(address, turn.request, replyMs);
        const endMs = clock.monotonicMs();
        board.take(turn, result, endMs);
        if (board.failing) this.#failingFreeMs = endMs + FAILING_GAP_MS;
      }
    } catch (cause) {
      if (!signal.aborted) {
        log("error", "the serial line is lost", { cause: (cause as Error).message });
      }
    }
    for (const board of this.#boards) board.lost();
    await (client ?? port)[Symbol.asyncDispose]();
  }

  /** Whose turn it is, and when: orders first, then whoever has waited longest. */
  #pick(nowMs: number): { board: ModbusBoard; atMs: number } {
    let [read, urgent]: [ModbusBoard | undefined, ModbusBoard | undefined] = [undefined, undefined];
    let readMs = Infinity;
    for (const board of this.#boards) {
      if (board.urgent) {
        urgent ??= board;
        continue;
      }
      const atMs = board.failing ? Math.max(board.dueMs, this.#failingFreeMs) : board.dueMs;
      if (atMs < readMs) [read, readMs] = [board, atMs];
    }
    if (urgent === undefined) return { board: read!, atMs: readMs };
    if (read !== undefined && this.#urgentRun >= URGENT_RUN_MAX && readMs <= nowMs) {
      return { board: read, atMs: readMs };
    }
    return { board: urgent, atMs: nowMs };
  }

  #rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const rouse = () => {
        cancel();
        this.#rouse = undefined;
        resolve();
      };
      const cancel: Cancel = this.#host.clock.schedule(ms, rouse);
      this.#rouse = rouse;
    });
  }
}
