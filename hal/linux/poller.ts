import { HalError } from "../error.ts";
import { errno, errnoName, libc, O_CLOEXEC, O_NONBLOCK } from "./libc.ts";

/** poll(2) event bits. */
export const POLLIN = 0x001;
/** Writing takes at least one byte. */
export const POLLOUT = 0x004;
/** Error, hang-up, or not open. */
export const POLLGONE = 0x008 | 0x010 | 0x020;

const WAKE_REVENTS_OFFSET = 14;

/**
 * Waits for one file descriptor on a thread of Deno's pool, and can be woken. One wait at a time.
 * Each wait costs one pool thread and one promise; the buffers are reused.
 */
export class Poller {
  readonly #libc = libc();
  readonly #fds = new Uint8Array(16);
  readonly #view = new DataView(this.#fds.buffer);
  readonly #one = new Uint8Array(new BigUint64Array([1n]).buffer);
  readonly #count = new Uint8Array(8);
  readonly #wakeFd: number;
  readonly #wake = () => this.wake();
  #signal: AbortSignal | undefined;

  /** Will wait for `events` on `fd`, which stays the caller's. */
  constructor(fd: number, events: number) {
    this.#wakeFd = this.#libc.eventfd(0, O_CLOEXEC | O_NONBLOCK);
    if (this.#wakeFd < 0) throw new HalError("io", `eventfd: ${errnoName(errno())}`);
    this.#view.setInt32(0, fd, true);
    this.#view.setInt16(4, events, true);
    this.#view.setInt32(8, this.#wakeFd, true);
    this.#view.setInt16(12, POLLIN, true);
  }

  /**
   * Wakes the wait that runs, or else the next one, when `signal` aborts. The listener stays until
   * another signal comes: most callers pass the same one each time.
   */
  wakeOn(signal: AbortSignal): void {
    if (signal === this.#signal) return;
    this.#signal?.removeEventListener("abort", this.#wake);
    this.#signal = signal;
    signal.addEventListener("abort", this.#wake);
  }

  /** Ends the wait that runs, or else the next one. */
  wake(): void {
    this.#libc.write(this.#wakeFd, this.#one, 8n);
  }

  /** Waits; resolves to the descriptor's `revents`, 0 when woken or `timeoutMs` (−1: none) is over. */
  async wait(timeoutMs: number): Promise<number> {
    // Interrupted or timed out both leave nothing in revents; the caller looks again or counts.
    const ready = await this.#libc.poll(this.#fds, 2n, timeoutMs);
    if (ready <= 0) return 0;
    if (this.#view.getInt16(WAKE_REVENTS_OFFSET, true) !== 0) {
      this.#libc.read(this.#wakeFd, this.#count, 8n);
    }
    return this.#view.getInt16(6, true);
  }

  /** Frees the wake descriptor; no wait may run. */
  close(): void {
    this.#signal?.removeEventListener("abort", this.#wake);
    this.#libc.close(this.#wakeFd);
  }
}
