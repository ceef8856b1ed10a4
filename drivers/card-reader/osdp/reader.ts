/**
 * One reader as the runtime sees it, in front of the conversation with it.
 *
 * @module
 */
import type { Cancel, Clock } from "../../../hal/mod.ts";
import type {
  CardReader,
  DriverLog,
  InputLine,
  OutputLine,
  ReaderEvent,
  ReaderFeedback,
  ReaderFirmware,
} from "../../contract.ts";
import { Conversation } from "./conversation.ts";
import { patternsOf } from "./feedback.ts";
import { type FileBench, sendFile } from "./file_transfer.ts";
import { OsdpOutput } from "./lines.ts";
import type { OsdpOptions } from "./options.ts";
import { OrderQueue, OUTPUTS_MAX } from "./orders.ts";
import { quietLog } from "./quiet_log.ts";
import { ReaderReports } from "./reports.ts";
import type { RandomSource } from "./secure_channel.ts";
import type { KeySource } from "./secure_link.ts";

/** Contacts of one reader: ISTATR may list more, no sold reader has them. */
const INPUTS_MAX = 32;

/** One reader on a bus. */
export class OsdpReader implements CardReader {
  /** What is said on the line; for the bus. */
  readonly conversation: Conversation;
  readonly firmware: ReaderFirmware;
  readonly #options: OsdpOptions;
  readonly #clock: Clock;
  readonly #log: DriverLog;
  readonly #wake: () => void;
  readonly #reports: ReaderReports;
  readonly #outputs = new Map<number, OsdpOutput>();
  readonly #orders: OrderQueue;

  /** `wake` is called when something waits that should not wait for the next poll; `bench` is for files. */
  constructor(
    options: OsdpOptions,
    key: KeySource | undefined,
    clock: Clock,
    log: DriverLog,
    wake: () => void,
    bench: (signal: AbortSignal) => FileBench,
    random?: RandomSource,
  ) {
    this.firmware = {
      identity: () => this.conversation.presence.identity,
      take: async (file, { onProgress, ...options }, signal) => {
        await sendFile(this.conversation, bench(signal), file, {
          ...options,
          keepForLater: true,
          onProgress: ({ sentBytes }) => onProgress?.(sentBytes),
        });
      },
    };
    this.#options = options;
    this.#orders = new OrderQueue(this.#outputs, patternsOf(options.feedback));
    this.#clock = clock;
    this.#log = quietLog(
      clock,
      (level, message, fields) => log(level, message, { address: options.address, ...fields }),
    );
    this.#wake = wake;
    this.#reports = new ReaderReports(this.#log, this.#fault, () => this.conversation.isOld());
    this.conversation = new Conversation({
      options,
      key,
      random,
      clock,
      log: this.#log,
      orders: this.#orders,
      reports: this.#reports,
      wake,
    });
  }

  /** Where it is spoken to. */
  get address(): number {
    return this.conversation.address;
  }

  readonly #fault = (cause: unknown): void => {
    this.#log("error", "a listener failed", { cause: String(cause) });
  };

  online(): boolean {
    return this.conversation.presence.online;
  }

  onEvent(listener: (event: ReaderEvent) => void): Cancel {
    return this.#reports.events.add(listener);
  }

  show(feedback: ReaderFeedback): void {
    this.#orders.feedback(feedback, {
      led: this.#options.led && !this.conversation.abilities.lacks("led"),
      buzzer: this.#options.buzzer && !this.conversation.abilities.lacks("buzzer"),
      text: !this.conversation.abilities.lacks("text"),
    }, this.#clock.monotonicMs());
    this.#wake();
  }

  output(index: number): OutputLine {
    checkIndex("output", index, OUTPUTS_MAX);
    const known = this.#outputs.get(index);
    if (known !== undefined) return known;
    const output: OsdpOutput = new OsdpOutput((active, revertAfterMs) => {
      const nowMs = this.#clock.monotonicMs();
      const revertAtMs = revertAfterMs === undefined ? undefined : nowMs + revertAfterMs;
      output.lastOrder = { active, revertAtMs, orderedMs: nowMs };
      this.#orders.output(index, output.lastOrder);
      this.#wake();
    }, this.#fault);
    this.#outputs.set(index, output);
    return output;
  }

  input(index: number): InputLine {
    checkIndex("input", index, INPUTS_MAX);
    if (!this.#reports.knows(index)) this.conversation.refreshInputs();
    return this.#reports.input(index);
  }
}

/** @throws RangeError when a reader has no such line. */
function checkIndex(what: string, index: number, max: number): void {
  if (Number.isInteger(index) && index >= 0 && index < max) return;
  throw new RangeError(`reader ${what} ${index}: expected 0 to ${max - 1}`);
}
