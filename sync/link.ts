import type { Clock } from "../hal/mod.ts";
import type { DistrictClient } from "./client.ts";
import { SyncError } from "./errors.ts";
import type { BoxIdentity } from "./identity_store.ts";
import type { TimeScale } from "./time_scale.ts";
import {
  type BoxStatus,
  type CommandMessage,
  type DownMessage,
  encodeCbor,
  openEnvelope,
  parseDownMessage,
  WIRE_LIMITS,
  WireError,
} from "./wire/mod.ts";

/** What one link needs, and whom it tells. */
export interface LinkHost {
  readonly identity: BoxIdentity;
  readonly client: DistrictClient;
  readonly clock: Clock;
  readonly time: TimeScale;
  readonly status: () => BoxStatus;
  /** The first hello of this link was verified. */
  readonly onOpen: () => void;
  /** The district has this policy version. */
  readonly onPolicyVersion: (version: number) => void;
  readonly onCommand: (message: CommandMessage) => void;
  /** A message that is not signed, malformed, or not for this box or link. */
  readonly onIgnored: (reason: string) => void;
}

/** From opening to the first hello. */
const HELLO_MS_MAX = 15_000;
/** Unchanged status is repeated this often, so that the district notices a dead box. */
const STATUS_INTERVAL_MS = 10_000;
/** Changes within this time go up together: a door makes several within a tick. */
const STATUS_DEBOUNCE_MS = 100;
/** What may wait in the socket before status is skipped: two messages. */
const SOCKET_BUFFER_MAX = 2 * WIRE_LIMITS.linkMessageBytesMax;
/** Messages before the hello, or not signed, that end a link: somebody is playing. */
const IGNORED_MAX = 100;

/** One WebSocket to the district, from opening to its end. */
export class Link {
  readonly #host: LinkHost;
  #socket: WebSocket | undefined;
  #nonce = "";
  #greeted = false;
  #openedMs = 0;
  #ignored = 0;
  #statusDue = false;
  #cancelStatus: () => void = () => {};
  #cancelDeadline: () => void = () => {};
  #end: (reason: SyncError | undefined) => void = () => {};

  /** Not open yet. */
  constructor(host: LinkHost) {
    this.#host = host;
  }

  /** Says that the status has changed; it goes up shortly. */
  statusChanged(): void {
    if (!this.#greeted || this.#statusDue) return;
    this.#statusDue = true;
    this.#cancelStatus();
    this.#cancelStatus = this.#host.clock.schedule(STATUS_DEBOUNCE_MS, () => this.#sendStatus());
  }

  /**
   * Opens the link and serves it to its end.
   *
   * @returns whether it was ever up.
   * @throws the signal's reason.
   */
  async run(signal: AbortSignal): Promise<{ readonly up: boolean; readonly detail: string }> {
    signal.throwIfAborted();
    const { client, clock } = this.#host;
    this.#openedMs = clock.monotonicMs();
    const { socket, nonce } = client.openLink();
    this.#socket = socket;
    this.#nonce = nonce;
    const ended = new Promise<SyncError | undefined>((resolve) => this.#end = resolve);
    const abort = () => this.#end(undefined);
    signal.addEventListener("abort", abort, { once: true });
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onerror = (event) => {
      const detail = event instanceof ErrorEvent ? event.message : "connection failed";
      this.#end(new SyncError("unreachable", `link: ${detail}`));
    };
    socket.onclose = ({ code, reason }) => {
      this.#end(new SyncError("unreachable", `link closed by the district (${code} ${reason})`));
    };
    this.#expect(HELLO_MS_MAX, "no hello");
    try {
      const reason = await ended;
      signal.throwIfAborted();
      return { up: this.#greeted, detail: reason?.message ?? "" };
    } finally {
      signal.removeEventListener("abort", abort);
      this.#cancelDeadline();
      this.#cancelStatus();
      await close(socket, clock);
    }
  }

  #expect(withinMs: number, missing: string): void {
    this.#cancelDeadline();
    this.#cancelDeadline = this.#host.clock.schedule(
      withinMs,
      () => this.#end(new SyncError("timeout", `link: ${missing} in ${withinMs} ms`)),
    );
  }

  #receive(data: unknown): void {
    const { identity } = this.#host;
    let message: DownMessage;
    try {
      if (!(data instanceof ArrayBuffer)) throw new WireError("message: text, not CBOR");
      message = parseDownMessage(
        openEnvelope(
          new Uint8Array(data),
          identity.districtKey,
          "message",
          WIRE_LIMITS.linkMessageBytesMax,
        ),
      );
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return this.#ignore(error.message);
    }
    if (message.boxId !== identity.boxId) return this.#ignore("message: for another box");
    if (message.kind === "hello") return this.#hello(message);
    // Without a fresh hello, this may be a recording of an earlier link.
    if (!this.#greeted) return this.#ignore("message: before hello");
    switch (message.kind) {
      case "policy.available":
        return this.#host.onPolicyVersion(message.version);
      case "command":
        return this.#host.onCommand(message);
      default:
        return message satisfies never;
    }
  }

  #hello(message: DownMessage & { kind: "hello" }): void {
    const { time, onOpen, onPolicyVersion } = this.#host;
    if (message.nonce !== this.#nonce) return this.#ignore("hello: of another link");
    if (!this.#greeted) {
      // It was made after our request: this bounds its age. Later ones may have been held up.
      time.learn(message.serverWallMs, 1, this.#openedMs);
      this.#greeted = true;
      onOpen();
      this.#sendStatus();
    }
    this.#expect(WIRE_LIMITS.helloMissedMsMax, "no further hello");
    onPolicyVersion(message.policyVersion);
  }

  #ignore(reason: string): void {
    this.#host.onIgnored(reason);
    if (++this.#ignored >= IGNORED_MAX) {
      this.#end(new SyncError("unsigned", `link: ${IGNORED_MAX} messages that are not for us`));
    }
  }

  #sendStatus(): void {
    this.#statusDue = false;
    this.#cancelStatus();
    const socket = this.#socket;
    if (socket === undefined || socket.readyState !== WebSocket.OPEN) return;
    this.#cancelStatus = this.#host.clock.schedule(STATUS_INTERVAL_MS, () => this.#sendStatus());
    // Nothing of it is lost: the next one tells the same, newer.
    if (socket.bufferedAmount > SOCKET_BUFFER_MAX) return;
    socket.send(encodeCbor(this.#host.status()));
  }
}

/** Closes and waits a moment for the peer's consent, so that no resource outlives the link. */
async function close(socket: WebSocket, clock: Clock): Promise<void> {
  socket.onmessage = null;
  if (socket.readyState === WebSocket.CLOSED) return;
  await new Promise<void>((resolve) => {
    const cancel = clock.schedule(1_000, resolve);
    const done = () => {
      cancel();
      resolve();
    };
    socket.onerror = done;
    socket.onclose = done;
    try {
      socket.close(1000);
    } catch {
      done();
    }
  });
}
