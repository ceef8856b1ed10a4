/**
 * Owns one Modbus line: opens it, opens it again when it is lost, and gives each board its turn.
 *
 * @module
 */
import type { Cancel, SerialPort } from "../../../hal/mod.ts";
import type { Expander, ExpanderBus, SerialDriverHost } from "../../contract.ts";
import { SerialLink } from "../../serial_link.ts";
import { ModbusBoard } from "./board.ts";
import { loadModbus, ModbusClient, type ModbusLibrary } from "./client.ts";
import type { ModbusOptions } from "./options.ts";

/** After a turn that a failing board did not answer, the others have the line for this long. */
const FAILING_GAP_MS = 400;
/** Orders that may go before reads in a row: they must not keep every input from being heard. */
const URGENT_RUN_MAX = 8;

/** Several boards on one line. */
export class ModbusBus implements ExpanderBus {
  readonly #host: SerialDriverHost;
  readonly #boards: readonly ModbusBoard[];
  readonly #library: ModbusLibrary;
  #link: SerialLink | undefined;
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
    if (new Set(options.map((one) => one.address)).size !== options.length) {
      throw new RangeError("two boards have the same address; give each its own");
    }
    const bus = new ModbusBus(host, options, await loadModbus());
    bus.#link = await SerialLink.open(host, {
      serve: (port, end) => bus.#serve(port, end),
      lost: () => {
        for (const board of bus.#boards) board.lost();
      },
    }, signal);
    return bus;
  }

  /** In the order of the options. */
  get expanders(): readonly Expander[] {
    return this.#boards.map((board) => board.lines);
  }

  /** Closes the port and reports each board offline. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#link?.[Symbol.asyncDispose]();
  }

  async #serve(port: SerialPort, end: AbortSignal): Promise<void> {
    const { clock } = this.#host;
    let open = true;
    await using client = await ModbusClient.open(clock, port, this.#library, () => {
      open = false;
      this.#rouse?.();
    });
    const close = () => void client[Symbol.asyncDispose]();
    end.addEventListener("abort", close, { once: true });
    try {
      for (const board of this.#boards) board.connected();
      while (!end.aborted) {
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
    } finally {
      end.removeEventListener("abort", close);
    }
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
