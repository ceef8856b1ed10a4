import { randomUUID } from "node:crypto";
import multicastDns from "multicast-dns";
import type { Clock } from "../../hal/mod.ts";
import { isNear } from "./address.ts";

/** DNS-SD, RFC 6763: what shares updates on a network. */
const SERVICE = "_gatehouse-update._tcp.local";
/** Answers of many are spread, RFC 6762, 6: in ms. */
const ANSWER_MS = { min: 20, max: 120 } as const;
/** How long answers are waited for. */
const LISTEN_MS = 1_000;
/** More boxes than that help nobody; whoever answers with thousands of names is none. */
const NEIGHBOURS_MAX = 32;
/** Nothing is kept of an answer, but the form wants it. In seconds. */
const TTL_S = 120;

/** A box that shares. */
export interface Neighbour {
  readonly address: string;
  readonly port: number;
}

/** What an answer or a question says, as `multicast-dns` decodes it; nothing of it is to be trusted. */
interface Packet {
  readonly questions?: readonly { readonly name: string; readonly type: string }[];
  readonly answers?: readonly DnsRecord[];
  readonly additionals?: readonly DnsRecord[];
}
interface DnsRecord {
  readonly name: string;
  readonly type: string;
  readonly data: unknown;
}

/** What a {@link Finder} is made of. */
export interface FinderOptions {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** This machine's address on the one network that is meant; without it, every network it is on. */
  readonly network?: string;
  /** Told why nobody can be found. */
  readonly onFault: (why: string) => void;
}

/**
 * Finds boxes that share, by multicast DNS (RFC 6762), and is found by them. It speaks only when somebody
 * asks: a network with hundreds of boxes hears nothing of it between updates.
 */
export class Finder implements Disposable {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #name = `${randomUUID()}.${SERVICE}`;
  readonly #port: number;
  readonly #mdns: ReturnType<typeof multicastDns>;
  readonly #heard = new Set<(neighbour: Neighbour) => void>();
  #cancelAnswer: (() => void) | undefined;

  /** Says that this box shares at `port`. */
  constructor(port: number, { clock, random, network, onFault }: FinderOptions) {
    this.#clock = clock;
    this.#random = random;
    this.#port = port;
    this.#mdns = multicastDns(
      network === undefined ? {} : { interface: network, bind: "0.0.0.0" },
    );
    this.#mdns.on("error", (error: Error) => onFault(error.message));
    // A packet that makes no sense is somebody else's.
    this.#mdns.on("warning", () => {});
    this.#mdns.on("query", (packet: Packet) => this.#asked(packet));
    this.#mdns.on(
      "response",
      (packet: Packet, from: { readonly address: string }) => this.#answered(packet, from.address),
    );
  }

  /** Asks the network; who answers within a second. */
  async look(signal: AbortSignal): Promise<Neighbour[]> {
    const found = new Map<string, Neighbour>();
    const hear = (neighbour: Neighbour) => {
      if (found.size < NEIGHBOURS_MAX) {
        found.set(`${neighbour.address} ${neighbour.port}`, neighbour);
      }
    };
    this.#heard.add(hear);
    try {
      this.#mdns.query({ questions: [{ name: SERVICE, type: "PTR" }] });
      await this.#clock.sleep(LISTEN_MS, signal);
    } finally {
      this.#heard.delete(hear);
    }
    return [...found.values()];
  }

  #asked({ questions = [] }: Packet): void {
    const isForUs = questions.some(({ name, type }) => name === SERVICE && type === "PTR");
    if (!isForUs || this.#cancelAnswer !== undefined) return;
    const waitMs = ANSWER_MS.min + this.#random() * (ANSWER_MS.max - ANSWER_MS.min);
    this.#cancelAnswer = this.#clock.schedule(waitMs, () => {
      this.#cancelAnswer = undefined;
      const data = { port: this.#port, target: "gatehouse.local" };
      this.#mdns.respond({
        answers: [{ name: SERVICE, type: "PTR", ttl: TTL_S, data: this.#name }],
        additionals: [{ name: this.#name, type: "SRV", ttl: TTL_S, data }],
      });
    });
  }

  #answered({ answers = [], additionals = [] }: Packet, address: string): void {
    if (this.#heard.size === 0 || !isNear(address)) return;
    for (const { name, type, data } of [...answers, ...additionals]) {
      if (type !== "SRV" || !name.endsWith(`.${SERVICE}`) || name === this.#name) continue;
      const port = (data as { readonly port?: unknown } | null)?.port;
      if (typeof port !== "number" || !Number.isInteger(port) || port < 1 || port > 65_535) {
        continue;
      }
      for (const hear of this.#heard) hear({ address, port });
    }
  }

  /** Is not found any more. */
  [Symbol.dispose](): void {
    this.#cancelAnswer?.();
    this.#mdns.destroy();
  }
}
