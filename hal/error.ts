/**
 * Portable kinds of failure at the hardware boundary, so that callers never look at errno.
 *
 * - `not-found`: the device or line does not exist
 * - `permission`: the process may not open it
 * - `busy`: another process holds it exclusively
 * - `disconnected`: it was there and is gone (hang-up, USB pulled)
 * - `timeout`: no answer within the bound named in the message
 * - `invalid`: the settings cannot be applied to this device
 * - `protocol`: the peer answered, but not in its protocol
 * - `unsupported`: this platform or device cannot do it
 * - `io`: anything else the operating system reports
 */
export type HalErrorKind =
  | "not-found"
  | "permission"
  | "busy"
  | "disconnected"
  | "timeout"
  | "invalid"
  | "protocol"
  | "unsupported"
  | "io";

/**
 * A fault at the hardware boundary. The message says what was being done and, where an installer
 * can act on it, what to do next.
 *
 * ```ts
 * throw new HalError("busy", "open /dev/ttyUSB0: held by another process; stop it and try again");
 * ```
 */
export class HalError extends Error {
  /** The portable kind of failure. */
  readonly kind: HalErrorKind;

  /** Makes an error of `kind`; `options.cause` keeps the system's own error. */
  constructor(kind: HalErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "HalError";
    this.kind = kind;
  }
}
