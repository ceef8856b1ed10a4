/**
 * Keeps one serial line open: opens it, reads it, and opens it again when it is lost, for as long as
 * the bus lives.
 *
 * @module
 */
import { HalError, type SerialChunk, type SerialPort } from "../../../hal/mod.ts";
import type { SerialDriverHost } from "../../contract.ts";

const REOPEN_MS_MIN = 250;
const REOPEN_MS_MAX = 5_000;

/** Who uses the line. */
export interface LineUser {
  /** The line is open. */
  opened(port: SerialPort): void;
  /** Bytes came. */
  received(chunk: SerialChunk): void;
  /** The line is gone, or closed to be opened at another rate. */
  gone(): void;
}

/** Keeps one line. */
export class PortKeeper {
  readonly #host: SerialDriverHost;
  readonly #user: LineUser;
  readonly #signal: AbortSignal;
  #port: SerialPort | undefined;
  /** Set where it is not as box.yaml says. */
  #baudRate: number | undefined;
  #changing = false;
  #reopened = 0;

  /** Ends when `signal` aborts. */
  constructor(host: SerialDriverHost, user: LineUser, signal: AbortSignal) {
    this.#host = host;
    this.#user = user;
    this.#signal = signal;
  }

  /** How often the line was opened again. */
  get reopened(): number {
    return this.#reopened;
  }

  /** The first attempt; `undefined` when it failed, which the log has said. */
  async open(): Promise<SerialPort | undefined> {
    try {
      const change = this.#baudRate === undefined ? undefined : { baudRate: this.#baudRate };
      const port = await this.#host.openPort(this.#signal, change);
      if (change === undefined || port.settings.baudRate === change.baudRate) return port;
      await this.#close(port);
      throw new HalError("invalid", `the line does not open at ${change.baudRate} baud`);
    } catch (cause) {
      if (!this.#signal.aborted) {
        this.#host.log("warn", "the serial port cannot be opened; trying again", {
          cause: (cause as Error).message,
        });
      }
      return undefined;
    }
  }

  /** Serves the line, and waits for it to come back, until the end. */
  async run(first: SerialPort | undefined): Promise<void> {
    let port = first;
    let waitMs = REOPEN_MS_MIN;
    for (;;) {
      if (port !== undefined) {
        waitMs = REOPEN_MS_MIN;
        await this.#serve(port);
      }
      if (this.#signal.aborted) return;
      try {
        await this.#host.clock.sleep(waitMs, this.#signal);
      } catch {
        return;
      }
      waitMs = Math.min(waitMs * 2, REOPEN_MS_MAX);
      port = await this.open();
      if (port !== undefined) this.#reopened++;
    }
  }

  /** Closes the line, and opens it again at `baudRate` from now on. */
  async changeRate(baudRate: number): Promise<void> {
    this.#baudRate = baudRate;
    this.#changing = true;
    if (this.#port !== undefined) await this.#close(this.#port);
  }

  /** A line that takes no bytes is as good as gone: the port is closed, which ends the read too. */
  writeFailed(port: SerialPort, cause: unknown): void {
    if (this.#signal.aborted || this.#port !== port || this.#changing) return;
    this.#host.log("error", "the serial line takes nothing", { cause: (cause as Error).message });
    void this.#close(port);
  }

  async #serve(port: SerialPort): Promise<void> {
    try {
      this.#signal.throwIfAborted();
      this.#port = port;
      this.#changing = false;
      port.discardInput();
      this.#user.opened(port);
      for (;;) this.#user.received(await port.read(this.#signal));
    } catch (cause) {
      if (!this.#signal.aborted) {
        if (!this.#changing) {
          this.#host.log("error", "the serial line is lost", { cause: (cause as Error).message });
        }
        this.#user.gone();
      }
    }
    this.#port = undefined;
    await this.#close(port);
  }

  async #close(port: SerialPort): Promise<void> {
    try {
      await port[Symbol.asyncDispose]();
    } catch (cause) {
      this.#host.log("warn", "the serial port did not close", { cause: (cause as Error).message });
    }
  }
}
