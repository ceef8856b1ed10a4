import type { Cancel } from "../../../hal/mod.ts";
import type { DeviceHost } from "../../contract.ts";
import { OneWayReader } from "../../one_way_reader.ts";
import type { PlainReader } from "../../plain_reader.ts";
import { readEntry } from "./entry.ts";
import { BootKeyboard, type KeyPress } from "./keys.ts";
import type { HidKeyboardOptions } from "./mod.ts";

/** No card's number is longer: 255 bits as decimal digits, and what stands around it. */
const CHARACTERS_MAX = 96;

/** Enough for what was read meanwhile to be handed over. */
const HELD_UP_MS = 20;

const ADVICE = {
  report: "a report is no keyboard's; set reportId, or use the driver hid-raw for this reader",
  keys: "keys were typed that no card has; is this a reader, and is its layout right?",
  long: "more was typed than a card has; set the reader's end key as terminator",
  gap: "a number was typed with no end; set the reader's end key as terminator",
  format: "what was typed is not as format says; look at what the reader types into an editor",
  range: "a number was typed that has more than its bits; set bits",
} as const;

/** Opens the reader; one that is not plugged in is waited for. */
export function openHidKeyboard(
  host: DeviceHost,
  options: HidKeyboardOptions,
  signal: AbortSignal,
): Promise<OneWayReader> {
  return OneWayReader.open(
    "a keyboard reader",
    host,
    (reader, end) => serve(host, options, reader, end),
    signal,
  );
}

async function serve(
  { hid, clock }: DeviceHost,
  options: HidKeyboardOptions,
  to: PlainReader,
  signal: AbortSignal,
): Promise<void> {
  const { vendorId, productId, serialNumber, interfaceNumber, reportId } = options;
  await using device = await hid.open({
    vendorId,
    productId,
    ...(serialNumber === undefined ? {} : { serialNumber }),
    // A reader often has a second interface for its maker's program.
    ...(interfaceNumber === undefined ? { usagePage: 1, usage: 6 } : { interfaceNumber }),
    exclusive: true,
  }, signal);
  to.up();
  const keyboard = new BootKeyboard(options.layout);
  using typing = new Typing(options, to, (ms, call) => clock.schedule(ms, call));
  for (;;) {
    const { bytes, receivedMonotonicMs } = await device.read(signal);
    // Composite devices send reports of their other collections as well.
    if (reportId !== undefined && bytes[0] !== reportId) continue;
    const keys = keyboard.push(reportId === undefined ? bytes : bytes.subarray(1));
    if (keys === undefined) to.limited.warn(ADVICE.report, { bytes: bytes.length });
    for (const key of keys ?? []) typing.take(key, receivedMonotonicMs);
  }
}

/** Collects the keys of one number. */
class Typing implements Disposable {
  readonly #options: HidKeyboardOptions;
  readonly #to: PlainReader;
  readonly #schedule: (ms: number, call: () => void) => Cancel;
  #typed = "";
  #spoilt: "keys" | "long" | undefined;
  #lastMs = 0;
  #cancelGap: Cancel = () => {};

  constructor(
    options: HidKeyboardOptions,
    to: PlainReader,
    schedule: (ms: number, call: () => void) => Cancel,
  ) {
    this.#options = options;
    this.#to = to;
    this.#schedule = schedule;
  }

  take(key: KeyPress, atMs: number): void {
    this.#cancelGap();
    if (key === this.#options.terminator) return this.#finish(atMs);
    if (key.length > 1) this.#spoilt ??= "keys";
    else if (this.#typed.length >= CHARACTERS_MAX) this.#spoilt ??= "long";
    else this.#typed += key;
    this.#lastMs = atMs;
    this.#cancelGap = this.#schedule(this.#options.keyGapMs, () => this.#late());
  }

  [Symbol.dispose](): void {
    this.#cancelGap();
  }

  /** The keys may be there already, behind this timer: a box that was held up is no silence. */
  #late(): void {
    this.#cancelGap = this.#schedule(HELD_UP_MS, () => this.#gap());
  }

  #gap(): void {
    if (this.#options.terminator === "none") return this.#finish(this.#lastMs);
    this.#to.limited.warn(ADVICE[this.#spoilt ?? "gap"], { characters: this.#typed.length });
    this.#clear();
  }

  #finish(atMs: number): void {
    const [typed, spoilt] = [this.#typed, this.#spoilt];
    this.#clear();
    if (spoilt !== undefined) {
      return this.#to.limited.warn(ADVICE[spoilt], { characters: typed.length });
    }
    if (typed === "") return;
    const entry = readEntry(typed, this.#options);
    // The number itself is a key to a door: it stands in no log.
    if (entry.kind === "refused") {
      this.#to.limited.warn(ADVICE[entry.why], { characters: typed.length });
    } else this.#to.card(entry.card.bits, entry.card.data, 0, atMs);
  }

  #clear(): void {
    this.#typed = "";
    this.#spoilt = undefined;
  }
}
