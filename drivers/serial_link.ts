/**
 * Holds a serial line open for a driver: opens it, opens it again with back-off when it is lost, and
 * lets the driver talk meanwhile. A pulled adapter comes back without a restart.
 *
 * @module
 */
import { HalError, type SerialChunk, type SerialPort } from "../hal/mod.ts";
import type { SerialDriverHost } from "./contract.ts";

const REOPEN_MS_MIN = 250;
const REOPEN_MS_MAX = 5_000;

/** What a driver does on its line. */
export interface LinkUser {
  /**
   * Talks on an open port for as long as it is there. When it returns or throws, the port is closed,
   * and opened again after a wait. `signal` aborts at the link's end.
   */
  readonly serve: (port: SerialPort, signal: AbortSignal) => Promise<void>;
  /** The port is gone: lost, or closed for good. Called after each `serve`, and at the end. */
  readonly lost: (reason: "bus-lost" | "closed") => void;
}

/** One line. Disposal closes the port and waits for `serve`. */
export class SerialLink implements AsyncDisposable {
  readonly #host: SerialDriverHost;
  readonly #user: LinkUser;
  readonly #abort = new AbortController();
  #running: Promise<void> = Promise.resolve();

  private constructor(host: SerialDriverHost, user: LinkUser) {
    this.#host = host;
    this.#user = user;
  }

  /** Resolves after the first attempt to open the port. @throws the signal's reason. */
  static async open(
    host: SerialDriverHost,
    user: LinkUser,
    signal: AbortSignal,
  ): Promise<SerialLink> {
    signal.throwIfAborted();
    const link = new SerialLink(host, user);
    const end = () => void link[Symbol.asyncDispose]();
    signal.addEventListener("abort", end, { once: true });
    link.#abort.signal.addEventListener("abort", () => signal.removeEventListener("abort", end));
    const first = await link.#tryOpen(true);
    link.#running = link.#run(first);
    signal.throwIfAborted();
    return link;
  }

  /** Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#abort.signal.aborted) {
      this.#abort.abort(new HalError("disconnected", "the device was closed"));
      this.#user.lost("closed");
    }
    await this.#running;
  }

  /** Opens the port; a failure is told once, not at each attempt. */
  async #tryOpen(tell: boolean): Promise<SerialPort | undefined> {
    try {
      return await this.#host.openPort(this.#abort.signal);
    } catch (cause) {
      if (!this.#abort.signal.aborted) {
        this.#host.log(
          tell ? "warn" : "debug",
          "the serial port cannot be opened; it is tried again",
          { cause: (cause as Error).message },
        );
      }
      return undefined;
    }
  }

  async #run(first: SerialPort | undefined): Promise<void> {
    const { signal } = this.#abort;
    let port = first;
    let waitMs = REOPEN_MS_MIN;
    for (;;) {
      const served = port !== undefined;
      if (port !== undefined) {
        waitMs = REOPEN_MS_MIN;
        await this.#serve(port);
      }
      if (signal.aborted) return;
      try {
        await this.#host.clock.sleep(waitMs, signal);
      } catch {
        return;
      }
      waitMs = Math.min(waitMs * 2, REOPEN_MS_MAX);
      port = await this.#tryOpen(served);
    }
  }

  async #serve(port: SerialPort): Promise<void> {
    const { signal } = this.#abort;
    try {
      signal.throwIfAborted();
      port.discardInput();
      await this.#user.serve(port, signal);
    } catch (cause) {
      if (!signal.aborted) {
        this.#host.log("error", "the serial line is lost", { cause: (cause as Error).message });
      }
    }
    if (!signal.aborted) this.#user.lost("bus-lost");
    try {
      await port[Symbol.asyncDispose]();
    } catch (cause) {
      this.#host.log("warn", "the serial port did not close", { cause: (cause as Error).message });
    }
  }
}

/** Hands every chunk to `take` until the port is lost, which it throws, as it does the signal's reason. */
export async function readAll(
  port: SerialPort,
  take: (chunk: SerialChunk) => void,
  signal: AbortSignal,
): Promise<never> {
  for (;;) take(await port.read(signal));
}
