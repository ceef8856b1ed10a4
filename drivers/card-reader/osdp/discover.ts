/**
 * Finds the readers on a line whose baud rate and addresses nobody knows. For installers: no box may
 * run on the line meanwhile, for each question begins a conversation anew.
 *
 * @module
 */
import { type Clock, HalError, type SerialPort } from "../../../hal/mod.ts";
import type { ReaderIdentity } from "../../contract.ts";
import type { Frame, FrameCheck } from "./frame.ts";
import { type Heard, Prober } from "./prober.ts";
import { CAPABILITY, type Capability, decodeReply, NAK, REPLY, type Reply } from "./replies.ts";
import { identityOf } from "./reports.ts";
import { SecureChannel } from "./secure_channel.ts";
import { SCBK_D } from "./secure_crypto.ts";

/** Baud rates, those that readers are sold with first. */
export const OSDP_BAUD_RATES: readonly number[] = [9_600, 38_400, 115_200, 57_600, 19_200, 230_400];
/** Every device answers here, whatever its own address is; of use where it is alone (§5.2). */
const CONFIG_ADDRESS = 0x7f;
const ADDRESS_MAX = 126;
/** Asked first at each rate: what readers come with. */
const USUAL_ADDRESSES = [0, 1, 2, 3];
/** How long a device may take to begin its reply (§5.7). */
const REPLY_MS = 200;
/** Questions that are asked again when the answer was not understood. */
const TRIES_MAX = 3;
/** How long is listened at each rate before anything is asked. */
const LISTEN_MS = 100;

/** What a search works with. */
export interface OsdpDiscoveryHost {
  readonly clock: Clock;
  /** Opens the line at a rate; called once for each, the one before it is closed by then. */
  readonly openPort: (baudRate: number, signal: AbortSignal) => Promise<SerialPort>;
}

/** How a search goes. */
export interface OsdpDiscoveryOptions {
  /** Default {@link OSDP_BAUD_RATES}, in that order. */
  readonly baudRates?: readonly number[];
  /** Default 0 to 126. */
  readonly addresses?: readonly number[];
  /** Goes on at the other rates when readers were found at one. Default `false`. */
  readonly allRates?: boolean;
  /** Ends as soon as one reader is found. Default `false`. */
  readonly firstOnly?: boolean;
  /** How long a device may take to begin its reply, in ms. Default 200. */
  readonly replyMs?: number;
  /** Called before each question. */
  readonly onProgress?: (progress: OsdpDiscoveryProgress) => void;
  /** Called for each finding as soon as it is certain. */
  readonly onFinding?: (finding: OsdpFinding) => void;
}

/** How far a search is. */
export interface OsdpDiscoveryProgress {
  readonly baudRate: number;
  /** 127 is the address that everybody answers. */
  readonly address: number;
  /** Questions asked so far, and at most to be asked in all. */
  readonly asked: number;
  readonly atMost: number;
}

/** Whether and how a reader speaks in the secure channel. */
export type OsdpSecurity =
  /** It knows none: anybody on the wires can present cards. */
  | "none"
  /** It is under the default key, which everybody knows, and waits for its own. */
  | "default-key"
  /** It has a key of its own, which must be in box.yaml. */
  | "own-key"
  /** It did not say. */
  | "unknown";

/** A reader that was found. */
export interface OsdpFoundReader {
  readonly kind: "reader";
  readonly baudRate: number;
  /** `undefined`: it answered only where everybody does, so its own is none of those searched. */
  readonly address: number | undefined;
  readonly check: FrameCheck;
  /** PDID; `undefined` when it could not be read. */
  readonly identity: ReaderIdentity | undefined;
  /** PDCAP, as it came. */
  readonly capabilities: readonly Capability[];
  readonly security: OsdpSecurity;
  /** Whether it says more than who it is outside of the secure channel. */
  readonly clearText: boolean;
}

/** What a search tells. */
export type OsdpFinding =
  | OsdpFoundReader
  /** Something answers at this address and is not understood: several readers have it, or the line is disturbed. */
  | { readonly kind: "collision"; readonly baudRate: number; readonly address: number }
  /** Bytes that nobody asked for: another controller, A and B swapped, or no bias on the line. */
  | { readonly kind: "noise"; readonly baudRate: number; readonly bytes: number };

/** What a search has found. */
export interface OsdpDiscovery {
  readonly findings: readonly OsdpFinding[];
  /** Rates that the port cannot make. */
  readonly ratesRefused: readonly number[];
  readonly asked: number;
}

/**
 * Searches a line: at each rate the address that everybody answers and the usual ones, then all
 * others; where a reader was found that rate is searched to its end, the others are left out. The
 * usual finds come within seven seconds. Readers that know checksums alone are looked for at last; an
 * empty line takes under six minutes in all.
 *
 * @throws {@link HalError} when the port cannot be opened or goes; the signal's reason.
 */
export async function discoverOsdp(
  host: OsdpDiscoveryHost,
  options: OsdpDiscoveryOptions,
  signal: AbortSignal,
): Promise<OsdpDiscovery> {
  return await new Search(host, options).run(signal);
}

/** One port at a time, and what was found so far. */
class Search {
  readonly #host: OsdpDiscoveryHost;
  readonly #options: OsdpDiscoveryOptions;
  readonly #replyMs: number;
  readonly #addresses: readonly number[];
  readonly #findings: OsdpFinding[] = [];
  readonly #refused = new Set<number>();
  readonly #listened = new Set<number>();
  #asked = 0;
  #atMost = 0;

  constructor(host: OsdpDiscoveryHost, options: OsdpDiscoveryOptions) {
    this.#host = host;
    this.#options = options;
    this.#replyMs = options.replyMs ?? REPLY_MS;
    this.#addresses = options.addresses ??
      Array.from({ length: ADDRESS_MAX + 1 }, (_, address) => address);
  }

  async run(signal: AbortSignal): Promise<OsdpDiscovery> {
    const rates = this.#options.baudRates ?? OSDP_BAUD_RATES;
    const usual = this.#addresses.filter((address) => USUAL_ADDRESSES.includes(address));
    const rest = this.#addresses.filter((address) => !USUAL_ADDRESSES.includes(address));
    this.#atMost = rates.length * 2 * (this.#addresses.length + 1);
    const stages: readonly { readonly check: FrameCheck; readonly addresses: readonly number[] }[] =
      [
        { check: "crc", addresses: [CONFIG_ADDRESS, ...usual] },
        { check: "crc", addresses: rest },
        { check: "checksum", addresses: [CONFIG_ADDRESS, ...usual, ...rest] },
      ];
    for (const { check, addresses } of stages) {
      for (const baudRate of rates) {
        if (this.#over) break;
        const known = this.#ratesWithReaders;
        const elsewhere = known.size > 0 && !known.has(baudRate);
        if (elsewhere && !this.#options.allRates) continue;
        // Who answers to a CRC was found by it.
        if (check === "checksum" && known.size > 0) continue;
        await this.#searchRate(baudRate, check, addresses, signal);
      }
    }
    this.#nameless();
    return { findings: this.#findings, ratesRefused: [...this.#refused], asked: this.#asked };
  }

  /** Readers that were heard where everybody answers, and nowhere else. */
  readonly #anonymous: OsdpFoundReader[] = [];

  get #readers(): readonly OsdpFoundReader[] {
    return this.#findings.filter((one) => one.kind === "reader");
  }

  get #ratesWithReaders(): ReadonlySet<number> {
    return new Set([...this.#readers, ...this.#anonymous].map((one) => one.baudRate));
  }

  get #over(): boolean {
    return this.#options.firstOnly === true && this.#readers.length > 0;
  }

  async #searchRate(
    baudRate: number,
    check: FrameCheck,
    addresses: readonly number[],
    signal: AbortSignal,
  ): Promise<void> {
    if (this.#refused.has(baudRate)) return;
    signal.throwIfAborted();
    let port: SerialPort;
    try {
      port = await this.#host.openPort(baudRate, signal);
    } catch (cause) {
      if (!(cause instanceof HalError) || cause.kind !== "invalid") throw cause;
      this.#refused.add(baudRate);
      return;
    }
    await using _closed = port;
    const prober = new Prober(port, this.#host.clock);
    if (!this.#listened.has(baudRate)) {
      this.#listened.add(baudRate);
      const { bytes } = await prober.listen(LISTEN_MS, true, signal);
      if (bytes > 0) this.#tell({ kind: "noise", baudRate, bytes });
    }
    for (const address of addresses) {
      if (this.#over) return;
      if (this.#readers.some((one) => one.baudRate === baudRate && one.address === address)) {
        continue;
      }
      await this.#tryAddress(prober, { baudRate, address, check }, signal);
    }
  }

  async #tryAddress(
    prober: Prober,
    place: { readonly baudRate: number; readonly address: number; readonly check: FrameCheck },
    signal: AbortSignal,
  ): Promise<void> {
    const { baudRate, address, check } = place;
    const config = address === CONFIG_ADDRESS;
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const { asked, atMost } = { asked: this.#asked++, atMost: this.#atMost };
      this.#options.onProgress?.({ baudRate, address, asked, atMost });
      const question = { address, sequence: 0, check, command: { kind: "id" } } as const;
      // Once more to the end where somebody answered: a second one may be slower.
      const first = await prober.ask(question, { replyMs: this.#replyMs }, signal);
      if (first.bytes === 0) return;
      const heard = await prober.ask(question, { replyMs: this.#replyMs, toTheEnd: true }, signal);
      const answers = heard.frames.filter((frame) =>
        frame.check === check && (config || frame.address === address)
      );
      const different = new Set(answers.map((frame) => frame.bytes.toHex())).size;
      if (different === 1 && clean(heard, answers)) {
        return await this.#found(prober, place, answers[0]!, signal);
      }
      // Several at the address of all is what it is for; each is found at its own.
      if (config) return;
      if (different > 1) break;
    }
    this.#tell({ kind: "collision", baudRate, address });
  }

  async #found(
    prober: Prober,
    { baudRate, address: asked, check }: {
      readonly baudRate: number;
      readonly address: number;
      readonly check: FrameCheck;
    },
    answer: Frame,
    signal: AbortSignal,
  ): Promise<void> {
    const { address } = answer;
    const known = this.#readers.some((one) => one.baudRate === baudRate && one.address === address);
    if (known) return;
    const ask = async (sequence: 1 | 2, kind: "capabilities" | "localStatus") => {
      const question = { address: asked, sequence, check, command: { kind } } as const;
      const { frames: [frame] } = await prober.ask(question, { replyMs: this.#replyMs }, signal);
      return frame;
    };
    const identity = replyOf(answer);
    const abilities = replyOf(await ask(1, "capabilities"));
    const status = await ask(2, "localStatus");
    const capabilities = abilities?.kind === "capabilities" ? abilities.capabilities : [];
    const reader: OsdpFoundReader = {
      kind: "reader",
      baudRate,
      address: address === CONFIG_ADDRESS ? undefined : address,
      check,
      identity: identity?.kind === "identity" ? identityOf(identity) : undefined,
      capabilities,
      security: await this.#security(prober, asked, check, capabilities, signal),
      clearText: status !== undefined && !demandsSecurity(status),
    };
    if (reader.address === undefined) this.#anonymous.push(reader);
    else this.#tell(reader);
  }

  /** Challenges it under the default key, which gives nothing away: everybody knows that one. */
  async #security(
    prober: Prober,
    address: number,
    check: FrameCheck,
    capabilities: readonly Capability[],
    signal: AbortSignal,
  ): Promise<OsdpSecurity> {
    const said = capabilities.find((one) => one.function === CAPABILITY.security);
    if (said !== undefined && (said.compliance & 1) === 0) return "none";
    const channel = new SecureChannel();
    const command = channel.challenge({ key: SCBK_D, own: false });
    const { security } = channel.wrap(new Uint8Array());
    const question = {
      address,
      sequence: 3,
      check,
      command,
      ...(security && { security }),
    } as const;
    const { frames: [answer] } = await prober.ask(question, { replyMs: this.#replyMs }, signal);
    if (answer === undefined) return "unknown";
    if (answer.id === REPLY.nak) {
      if (answer.data[0] === NAK.unknownCommand) return "none";
      return demandsSecurity(answer) ? "own-key" : "unknown";
    }
    const result = channel.take(answer);
    if (result === "ok") return "default-key";
    return result === "wrong-key" ? "own-key" : "unknown";
  }

  /** Tells of those that have no address of their own, unless they turned up at one after all. */
  #nameless(): void {
    for (const reader of this.#anonymous) {
      const { identity, baudRate } = reader;
      const elsewhere = this.#readers.some((one) =>
        one.baudRate === baudRate && one.identity?.serial === identity?.serial &&
        one.identity?.vendor === identity?.vendor
      );
      if (!elsewhere) this.#tell(reader);
    }
  }

  #tell(finding: OsdpFinding): void {
    this.#findings.push(finding);
    this.#options.onFinding?.(finding);
  }
}

/** Whether nothing else was on the line than `answers`, a mark before each at most. */
function clean({ bytes }: Heard, answers: readonly Frame[]): boolean {
  const inFrames = answers.reduce((sum, frame) => sum + frame.bytes.length, 0);
  return bytes <= inFrames + answers.length;
}

function demandsSecurity({ id, data }: Frame): boolean {
  if (id !== REPLY.nak) return false;
  return data[0] === NAK.secureChannelNeeded || data[0] === NAK.secureChannelCondition;
}

function replyOf(frame: Frame | undefined): Reply | undefined {
  if (frame === undefined || frame.security !== undefined) return undefined;
  try {
    return decodeReply(frame);
  } catch {
    // It answers, which is all that a search needs to know.
    return undefined;
  }
}
