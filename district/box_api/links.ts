import type { Cancel, Clock } from "../../hal/mod.ts";
import {
  type BoxStatus,
  decodeCbor,
  type DownMessage,
  parseBoxStatus,
  signEnvelope,
  type SigningKey,
  WIRE_LIMITS,
  WireError,
} from "../../sync/wire/mod.ts";
import { faultFields, type Log } from "../log.ts";
import type { BoxRow, DistrictStore } from "../store/contract.ts";

/** What links need, and whom they tell. */
export interface LinksHost {
  readonly store: DistrictStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly key: SigningKey;
  /** A box went online or offline, or said something new of itself. */
  readonly onChange: (boxId: string) => void;
  /** For tests. A ping goes out in this interval, and no answer within it ends the link. */
  readonly idleTimeoutS?: number;
}

/** What is known of a box beyond its row, as of now. */
export interface BoxPresence {
  readonly online: boolean;
  readonly lastSeenMs: number | undefined;
  readonly status: BoxStatus | undefined;
}

/** Whoever pulled a plug shows as offline within this time, twice at most. */
const IDLE_TIMEOUT_S = 8;
/** What a box has not read after so much is not worth more memory: a command has 300 bytes. */
const SOCKET_BUFFER_MAX = 4 * WIRE_LIMITS.linkMessageBytesMax;
/** What was heard of boxes is written down this often at most. */
const NOTE_MS = 30_000;
/** Policy that a box of another version of Gatehouse may send wrongly, before its link is ended. */
const MALFORMED_MAX = 20;

interface Link {
  readonly socket: WebSocket;
  readonly boxId: string;
  readonly nonce: string;
  /** False until the hello has been sent: a box ignores what comes before it. */
  greeted: boolean;
  malformed: number;
  cancelHello: Cancel;
}

interface Seen {
  lastSeenMs: number;
  status: BoxStatus | undefined;
  notedMs: number;
}

/** The WebSockets of all boxes, and what is known of who is there. */
export class BoxLinks implements AsyncDisposable {
  readonly #host: LinksHost;
  readonly #links = new Map<string, Link>();
  /** Bounded by the number of enrolled boxes. */
  readonly #seen = new Map<string, Seen>();
  readonly #notes = new Set<Promise<void>>();
  #closed = false;

  /** No links yet. */
  constructor(host: LinksHost) {
    this.#host = host;
  }

  /** Notes that a box has made itself heard. */
  heard(boxId: string, status?: BoxStatus): void {
    const nowMs = this.#host.clock.wallMs();
    const seen = this.#seen.get(boxId) ?? { lastSeenMs: 0, status: undefined, notedMs: -Infinity };
    seen.lastSeenMs = nowMs;
    if (status !== undefined) seen.status = status;
    this.#seen.set(boxId, seen);
    if (Math.abs(nowMs - seen.notedMs) >= NOTE_MS) this.#note(boxId, seen);
  }

  /** What is known of a box as of now. */
  presence(row: BoxRow): BoxPresence {
    const seen = this.#seen.get(row.id);
    return {
      online: this.#links.get(row.id)?.greeted === true,
      lastSeenMs: seen?.lastSeenMs ?? row.lastSeenMs,
      status: seen?.status ?? row.status,
    };
  }

  /** Whether a message would go out now. */
  online(boxId: string): boolean {
    return this.#links.get(boxId)?.greeted === true;
  }

  /** Sends to a box; false when it is not there or does not read. */
  send(message: DownMessage): boolean {
    const link = this.#links.get(message.boxId);
    if (link === undefined || !link.greeted) return false;
    return this.#send(link, message);
  }

  /** Tells every box that is there of a policy. */
  announcePolicy(version: number): void {
    for (const boxId of this.#links.keys()) this.send({ kind: "policy.available", boxId, version });
  }

  /** Upgrades a verified request to the box's link, in place of an older one. */
  accept(request: Request, box: BoxRow, nonce: string): Response {
    const { socket, response } = Deno.upgradeWebSocket(request, {
      idleTimeout: this.#host.idleTimeoutS ?? IDLE_TIMEOUT_S,
    });
    socket.binaryType = "arraybuffer";
    const link: Link = {
      socket,
      boxId: box.id,
      nonce,
      greeted: false,
      malformed: 0,
      cancelHello: () => {},
    };
    socket.onopen = () => {
      this.#open(link).catch((error) => {
        this.#host.log.error("a box's link failed", { boxId: box.id, ...faultFields(error) });
        close(socket, 1011, "the district failed");
      });
    };
    socket.onmessage = ({ data }) => this.#receive(link, data);
    // An error is followed by a close.
    socket.onerror = () => {};
    socket.onclose = () => this.#gone(link);
    return response;
  }

  /** Ends a box's link, for instance when it is withdrawn. */
  drop(boxId: string, reason: string): void {
    const link = this.#links.get(boxId);
    if (link !== undefined) close(link.socket, 1008, reason);
  }

  /** Ends all links and writes down who was seen last. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const link of [...this.#links.values()]) {
      this.#gone(link);
      close(link.socket, 1001, "the district stops");
    }
    await Promise.all(this.#notes);
  }

  async #open(link: Link): Promise<void> {
    const { store, clock, log, onChange } = this.#host;
    if (this.#closed) return close(link.socket, 1001, "the district stops");
    const before = this.#links.get(link.boxId);
    this.#links.set(link.boxId, link);
    if (before !== undefined) {
      before.cancelHello();
      close(before.socket, 1000, "replaced by a newer link");
    }
    if (!await this.#hello(link)) return;
    link.greeted = true;
    log.info("box online", { boxId: link.boxId });
    this.heard(link.boxId);
    onChange(link.boxId);
    // What is issued from here on goes out by itself; the id keeps a box from doing it twice.
    for (const command of await store.pendingCommands(link.boxId, clock.wallMs())) {
      this.#send(link, {
        kind: "command",
        boxId: link.boxId,
        id: command.id,
        issuedWallMs: command.issuedMs,
        expiresWallMs: command.expiresMs,
        command: command.command,
      });
    }
  }

  /** Sends a hello now and again later; false when the link is over. */
  async #hello(link: Link): Promise<boolean> {
    const { store, clock, log } = this.#host;
    const [policy, box] = await Promise.all([store.policyVersion(), store.box(link.boxId)]);
    if (this.#links.get(link.boxId) !== link) return false;
    if (box === undefined || box.revoked) {
      close(link.socket, 1008, "revoked");
      return false;
    }
    this.#send(link, {
      kind: "hello",
      boxId: link.boxId,
      nonce: link.nonce,
      serverWallMs: clock.wallMs(),
      policyVersion: policy,
    });
    link.cancelHello();
    link.cancelHello = clock.schedule(WIRE_LIMITS.helloIntervalMs, () => {
      this.#hello(link).catch((error) => {
        log.error("no hello could be made", { boxId: link.boxId, ...faultFields(error) });
        close(link.socket, 1011, "the district failed");
      });
    });
    return true;
  }

  #send(link: Link, message: DownMessage): boolean {
    const { socket } = link;
    if (socket.readyState !== WebSocket.OPEN) return false;
    if (socket.bufferedAmount > SOCKET_BUFFER_MAX) {
      close(socket, 1008, "does not read");
      return false;
    }
    socket.send(signEnvelope(this.#host.key, message));
    return true;
  }

  #receive(link: Link, data: unknown): void {
    const { log, onChange } = this.#host;
    try {
      if (!(data instanceof ArrayBuffer)) throw new WireError("status: text, not CBOR");
      const bytes = new Uint8Array(data);
      const status = parseBoxStatus(decodeCbor(bytes, "status", WIRE_LIMITS.linkMessageBytesMax));
      if (this.#links.get(link.boxId) !== link) return;
      this.heard(link.boxId, status);
      onChange(link.boxId);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      log.warn("status ignored", { boxId: link.boxId, detail: error.message });
      if (++link.malformed >= MALFORMED_MAX) close(link.socket, 1008, "malformed");
    }
  }

  #gone(link: Link): void {
    link.cancelHello();
    if (this.#links.get(link.boxId) !== link) return;
    this.#links.delete(link.boxId);
    this.#host.log.info("box offline", { boxId: link.boxId });
    const seen = this.#seen.get(link.boxId);
    if (seen !== undefined) this.#note(link.boxId, seen);
    this.#host.onChange(link.boxId);
  }

  #note(boxId: string, seen: Seen): void {
    const { store, log } = this.#host;
    seen.notedMs = seen.lastSeenMs;
    const note = store.noteSeen(boxId, seen.lastSeenMs, seen.status)
      .catch((error) => log.error("last contact not stored", { boxId, ...faultFields(error) }))
      .finally(() => this.#notes.delete(note));
    this.#notes.add(note);
  }
}

function close(socket: WebSocket, code: number, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {
    // It is closed already.
  }
}
