/**
 * What box and guard say to each other, each message one datagram of JSON on a `SOCK_SEQPACKET`
 * socket. Both run as one user, mostly of one version; what is not understood ends the connection.
 *
 * @module
 */

/** Grows when an older end could misunderstand. A guard that outlived an update may be older. */
export const GUARD_PROTOCOL = 1;

/** How an output is left when the box is dead: logical level, or as it is. */
export type CrashLevel = boolean | "keep";

/** From the box. */
export type ToGuard =
  | {
    readonly kind: "hello";
    readonly protocol: number;
    /** The box counts as dead when it answered no ping for this long. */
    readonly heartbeatMs: number;
    readonly watchdog?: { readonly path: string; readonly timeoutMs: number };
  }
  /** Here is a line (a descriptor comes along): hold it too. In place of an older one of that id. */
  | {
    readonly kind: "hold";
    readonly id: string;
    readonly onCrash: CrashLevel;
    readonly activeLow: boolean;
  }
  /** Do you have this line from before? Answered by `claimed`. */
  | { readonly kind: "claim"; readonly id: string }
  /**
   * I have let go of this line; let go of it too. At `leave` it stands as it is to stay while the
   * box is not there, and a guard that outlives its box holds it on. Answered by `released`.
   */
  | { readonly kind: "release"; readonly id: string; readonly leave: boolean }
  /** All lines that I use are claimed or held: let go of the rest. */
  | { readonly kind: "ready" }
  /** The answer to ping `n`, when every door is on time. */
  | { readonly kind: "alive"; readonly n: number }
  /** I end as I should. */
  | { readonly kind: "goodbye" };

/** From the guard. */
export type FromGuard =
  | { readonly kind: "welcome"; readonly protocol: number; readonly lines: readonly string[] }
  /** Another box is connected already. */
  | { readonly kind: "busy" }
  /** The line, with a descriptor if there is one. */
  | { readonly kind: "claimed"; readonly id: string; readonly activeLow: boolean }
  | { readonly kind: "released"; readonly id: string }
  | { readonly kind: "ping"; readonly n: number }
  /** You were dead for so long, and your lines left on-crash: drive them again. */
  | { readonly kind: "resumed"; readonly deadMs: number }
  /** Something does not work; it is tried again where that can help. */
  | { readonly kind: "fault"; readonly message: string };

/** A line's id: the kernel's chip and the offset, `gpiochip0/17`. */
const ID = /^[\w.:-]{1,64}\/\d{1,5}$/;
/** A heartbeat of less would be missed by a garbage collection, one of more guards nothing. */
export const HEARTBEAT_MS_MIN = 200;
/** See {@link HEARTBEAT_MS_MIN}. */
export const HEARTBEAT_MS_MAX = 60_000;
const WATCHDOG_PATH = /^\/dev\/watchdog\d{0,4}$/;
const WATCHDOG_MS_MAX = 3_600_000;
/** Twice what a `box.yaml` may have, and what fits one message. */
export const LINES_MAX = 128;
/** Told to an installer. */
const TEXT_CHARACTERS_MAX = 1_000;

/** As bytes for the socket. */
export function encodeMessage(message: ToGuard | FromGuard): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(message));
}

/** Reads what a box sent; `undefined` when it is no such message. */
export function parseToGuard(bytes: Uint8Array): ToGuard | undefined {
  const m = parseObject(bytes);
  switch (m?.kind) {
    case "hello": {
      const { protocol, heartbeatMs } = m;
      if (!isInt(protocol, 1, 1_000)) return undefined;
      if (!isInt(heartbeatMs, HEARTBEAT_MS_MIN, HEARTBEAT_MS_MAX)) return undefined;
      if (m.watchdog === undefined) return { kind: "hello", protocol, heartbeatMs };
      const { path, timeoutMs } = (m.watchdog ?? {}) as Record<string, unknown>;
      if (typeof path !== "string" || !WATCHDOG_PATH.test(path)) return undefined;
      if (!isInt(timeoutMs, 1_000, WATCHDOG_MS_MAX)) return undefined;
      return { kind: "hello", protocol, heartbeatMs, watchdog: { path, timeoutMs } };
    }
    case "hold": {
      const { id, onCrash, activeLow } = m;
      if (!isId(id) || typeof activeLow !== "boolean") return undefined;
      if (onCrash !== true && onCrash !== false && onCrash !== "keep") return undefined;
      return { kind: "hold", id, onCrash, activeLow };
    }
    case "claim":
      return isId(m.id) ? { kind: "claim", id: m.id } : undefined;
    case "release": {
      const { id, leave } = m;
      return isId(id) && typeof leave === "boolean" ? { kind: "release", id, leave } : undefined;
    }
    case "ready":
    case "goodbye":
      return { kind: m.kind };
    case "alive":
      return isInt(m.n, 0, Number.MAX_SAFE_INTEGER) ? { kind: "alive", n: m.n } : undefined;
    default:
      return undefined;
  }
}

/** Reads what a guard sent; `undefined` when it is no such message. */
export function parseFromGuard(bytes: Uint8Array): FromGuard | undefined {
  const m = parseObject(bytes);
  switch (m?.kind) {
    case "welcome": {
      const { protocol, lines } = m;
      if (!isInt(protocol, 1, 1_000) || !Array.isArray(lines)) return undefined;
      if (lines.length > LINES_MAX || !lines.every(isId)) return undefined;
      return { kind: "welcome", protocol, lines };
    }
    case "busy":
      return { kind: "busy" };
    case "claimed": {
      const { id, activeLow } = m;
      if (!isId(id) || typeof activeLow !== "boolean") return undefined;
      return { kind: "claimed", id, activeLow };
    }
    case "released":
      return isId(m.id) ? { kind: "released", id: m.id } : undefined;
    case "ping":
      return isInt(m.n, 0, Number.MAX_SAFE_INTEGER) ? { kind: "ping", n: m.n } : undefined;
    case "resumed": {
      const { deadMs } = m;
      return typeof deadMs === "number" && deadMs >= 0 ? { kind: "resumed", deadMs } : undefined;
    }
    case "fault":
      return typeof m.message === "string" && m.message.length <= TEXT_CHARACTERS_MAX
        ? { kind: "fault", message: m.message }
        : undefined;
    default:
      return undefined;
  }
}

function parseObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? value as Record<string, unknown>
      : undefined;
  } catch {
    return undefined;
  }
}

function isInt(value: unknown, min: number, max: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= min && value <= max;
}

function isId(value: unknown): value is string {
  return typeof value === "string" && ID.test(value);
}
