/** A two-way stream of bytes, such as a local daemon's socket. Disposal closes it and is idempotent. */
export interface ByteStream extends AsyncDisposable {
  /**
   * Waits for bytes, at least one; `null` at the end.
   *
   * @throws {@link import("./error.ts").HalError} `disconnected`; the signal's reason when aborted (no
   * byte is lost).
   */
  read(signal: AbortSignal): Promise<Uint8Array | null>;
  /**
   * Writes all of `bytes`.
   *
   * @throws {@link import("./error.ts").HalError} `disconnected`, or `timeout` when the peer takes
   * nothing for a second.
   */
  write(bytes: Uint8Array, signal: AbortSignal): Promise<void>;
}
