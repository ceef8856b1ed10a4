/**
 * Finds out what is on a serial port that nobody has described: a search for readers that are polled,
 * then listening with the framing of each driver for readers that only send.
 *
 * @module
 */
import type { ReaderBus, ReaderBusDriver } from "../../../drivers/contract.ts";
import {
  type Clock,
  HalError,
  type SerialChunk,
  type SerialHost,
  type SerialPort,
  type SerialSettings,
} from "../../../hal/mod.ts";
import type { AnyDriver } from "../../config/mod.ts";
import type { FoundReader, ReaderFinder } from "../doctor/bus_trial.ts";
import { text } from "../language.ts";
import type { ReaderPlace, Sighting } from "./sighting.ts";

/** What a serial port is learned with. */
export interface SerialWatchHost {
  readonly clock: Clock;
  readonly serial: SerialHost;
  readonly finders: Readonly<Record<string, ReaderFinder>>;
  readonly drivers: readonly AnyDriver[];
}

/** The usual finds come first; a whole search of an empty line would keep one-way readers unheard. */
const SEARCH_MS = 12_000;
/** Where one reader was found, the next addresses have so long. */
const SEARCH_ON_MS = 5_000;
/** How long one set of settings is listened to: time for a few cards. */
const LISTEN_MS = 6_000;
/** Drivers that ask have less: they are answered at once, or never. */
const ASK_MS = 3_000;
/** Several drivers may understand one card; what comes within this time is one sighting. */
const SAME_CARD_MS = 400;
/** Contacts that are looked at on a reader; few have more. */
const READER_INPUTS = 4;
/** Wait before a port that could not be opened is tried again. */
const RETRY_MS = 2_000;
/** What a driver leaves unread is an endless babble. */
const CHUNKS_MAX = 256;

type OneWayDriver = ReaderBusDriver<unknown>;

/**
 * Watches the port at `path` until `signal` aborts or the port is gone; tells what it sees. Resolves,
 * and never rejects for anything that the port does.
 */
export async function watchSerialPort(
  path: string,
  host: SerialWatchHost,
  tell: (sighting: Sighting) => void,
  signal: AbortSignal,
): Promise<void> {
  const busy = new Set<string>();
  while (!signal.aborted) {
    try {
      const stayed = await searchAndStay(path, host, tell, signal) ||
        await listenInTurn(path, host, tell, signal);
      if (!stayed) return;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof HalError)) throw error;
      // Gone: the inventory tells when it is back.
      if (error.kind === "disconnected" || error.kind === "not-found") return;
      if (!busy.has(error.kind)) {
        busy.add(error.kind);
        tell({
          kind: "note",
          note: text(`${path}：${error.message}`, `${path}: ${error.message}`),
        });
      }
      await host.clock.sleep(RETRY_MS, signal).catch(() => {});
    }
  }
}

/** Searches by each finder; where one finds readers it stays with them until the port is gone. */
async function searchAndStay(
  path: string,
  host: SerialWatchHost,
  tell: (sighting: Sighting) => void,
  signal: AbortSignal,
): Promise<boolean> {
  for (const [id, finder] of Object.entries(host.finders)) {
    const driver = serialReaders(host.drivers).find((one) => one.id === id);
    if (driver === undefined) continue;
    const found: FoundReader[] = [];
    const end = new AbortController();
    let cancel = host.clock.schedule(SEARCH_MS, () => end.abort());
    try {
      await finder(
        (baudRate, aborted) =>
          host.serial.open({ ...driver.serialDefaults, path, baudRate }, aborted),
        { baudRates: [], addresses: [0, 1, 2, 3] },
        (finding) => {
          if (finding.kind === "collision") {
            tell({ kind: "note", note: collision(path, finding.address) });
          }
          if (finding.kind !== "reader" || finding.address === undefined) return;
          found.push(finding);
          // Where there is one there are often more; the rest of the addresses has its time.
          cancel();
          cancel = host.clock.schedule(SEARCH_ON_MS, () => end.abort());
        },
        AbortSignal.any([end.signal, signal]),
      );
    } catch (error) {
      signal.throwIfAborted();
      if (!end.signal.aborted) throw error;
    } finally {
      cancel();
    }
    if (found.length > 0) {
      await stayWith(path, driver, found, host, tell, signal);
      return true;
    }
  }
  return false;
}

/** Polls the readers that were found, and tells cards and contacts. Ends when the port is gone. */
async function stayWith(
  path: string,
  driver: ReaderBusDriver<unknown>,
  found: readonly FoundReader[],
  host: SerialWatchHost,
  tell: (sighting: Sighting) => void,
  signal: AbortSignal,
): Promise<void> {
  const baudRate = found[0]!.baudRate;
  const here = found.filter((one) => one.baudRate === baudRate);
  const places = here.map((one): ReaderPlace => ({
    on: "bus",
    path,
    baudRate,
    driver: driver.id,
    options: { address: one.address! },
  }));
  const gone = new AbortController();
  const bus: ReaderBus = await driver.open(
    {
      clock: host.clock,
      log: () => {},
      openPort: async (aborted) => {
        const port = await host.serial.open({ ...driver.serialDefaults, path, baudRate }, aborted);
        return endingWith(port, () => gone.abort());
      },
    },
    places.map((place) => driver.parseOptions(place.options)),
    signal,
  );
  try {
    for (const [index, reader] of bus.readers.entries()) {
      const place = places[index]!;
      const { identity, clearText } = here[index]!;
      const output = (number: number) => reader.output(number);
      let told = false;
      const tellReader = () => {
        // Once it is polled, and not as it is found: a card from before would be too old to count.
        if (!told) tell({ kind: "reader", place, identity, output, keyNeeded: !clearText });
        told = true;
      };
      // One that wants a key never comes online here.
      if (!clearText || reader.online()) tellReader();
      reader.onEvent((event) => {
        if (event.kind === "online") tellReader();
        if (event.kind !== "card") return;
        tell({ kind: "card", places: [place], bits: event.bits, data: event.data });
      });
      for (let number = 0; number < READER_INPUTS; number++) {
        const input = reader.input(number);
        let before = input.active();
        input.onChange((active) => {
          // The first level is how it rests, and no news.
          if (active !== undefined && before !== undefined) {
            tell({ kind: "input", place: { on: "reader", reader: place, index: number }, active });
          }
          before = active ?? before;
        });
      }
    }
    await aborted(AbortSignal.any([gone.signal, signal]));
  } finally {
    await bus[Symbol.asyncDispose]();
  }
}

/** Listens with each set of settings that drivers of one-way readers come with. */
async function listenInTurn(
  path: string,
  host: SerialWatchHost,
  tell: (sighting: Sighting) => void,
  signal: AbortSignal,
): Promise<boolean> {
  const groups = new Map<string, OneWayDriver[]>();
  for (const driver of serialReaders(host.drivers)) {
    if (driver.devicesMax !== 1 || !takesDefaults(driver)) continue;
    const key = JSON.stringify(driver.serialDefaults);
    groups.set(key, [...groups.get(key) ?? [], driver]);
  }
  for (const drivers of groups.values()) {
    const settings: SerialSettings = { ...drivers[0]!.serialDefaults, path };
    const asking = await listen(settings, drivers, false, LISTEN_MS, host, tell, signal);
    for (const driver of asking) {
      await listen(settings, [driver], true, ASK_MS, host, tell, signal);
    }
  }
  return groups.size > 0 || Object.keys(host.finders).length > 0;
}

/**
 * Gives what one port receives to all of `drivers`; with `mayWrite` (one driver) it may ask, else
 * what it sends is dropped. Returns the drivers that wanted to send.
 */
async function listen(
  settings: SerialSettings,
  drivers: readonly OneWayDriver[],
  mayWrite: boolean,
  listenMs: number,
  host: SerialWatchHost,
  tell: (sighting: Sighting) => void,
  signal: AbortSignal,
): Promise<readonly OneWayDriver[]> {
  const { clock } = host;
  await using port = await host.serial.open(settings, signal);
  const end = new AbortController();
  const over = AbortSignal.any([end.signal, signal]);
  const cancel = clock.schedule(listenMs, () => end.abort());
  const asking = new Set<OneWayDriver>();
  const taps: Tap[] = [];
  let card: { places: ReaderPlace[]; bits: number; data: Uint8Array } | undefined;
  const buses: ReaderBus[] = [];
  let fault: unknown;
  try {
    for (const driver of drivers) {
      const tap = new Tap(settings, async (bytes, aborted) => {
        asking.add(driver);
        if (mayWrite) await port.write(bytes, aborted);
      });
      taps.push(tap);
      const place: ReaderPlace = {
        on: "bus",
        path: settings.path,
        baudRate: settings.baudRate,
        ...(settings.parity === undefined ? {} : { parity: settings.parity }),
        driver: driver.id,
        options: {},
      };
      const bus = await driver.open(
        { clock, log: () => {}, openPort: () => Promise.resolve(tap) },
        [driver.parseOptions({})],
        over,
      );
      buses.push(bus);
      bus.readers[0]!.onEvent((event) => {
        if (event.kind !== "card") return;
        if (card !== undefined) {
          card.places.push(place);
          return;
        }
        card = { places: [place], bits: event.bits, data: event.data };
        clock.schedule(SAME_CARD_MS, () => {
          const seen = card!;
          card = undefined;
          tell({ kind: "card", ...seen });
        });
      });
    }
    while (!over.aborted) {
      const chunk = await port.read(over);
      for (const tap of taps) tap.push(chunk);
    }
  } catch (error) {
    if (!over.aborted) fault = error;
  } finally {
    cancel();
    end.abort();
    for (const bus of buses) await bus[Symbol.asyncDispose]();
  }
  if (fault !== undefined) throw fault;
  signal.throwIfAborted();
  return mayWrite ? [] : [...asking];
}

/** One driver's share of a port that several listen to. */
class Tap implements SerialPort {
  readonly settings: SerialSettings;
  readonly #write: (bytes: Uint8Array, signal: AbortSignal) => Promise<void>;
  readonly #chunks: SerialChunk[] = [];
  #wake: (() => void) | undefined;
  #closed = false;

  constructor(
    settings: SerialSettings,
    write: (bytes: Uint8Array, signal: AbortSignal) => Promise<void>,
  ) {
    this.settings = settings;
    this.#write = write;
  }

  push(chunk: SerialChunk): void {
    this.#chunks.push({ ...chunk, bytes: chunk.bytes.slice() });
    if (this.#chunks.length > CHUNKS_MAX) this.#chunks.shift();
    this.#wake?.();
  }

  async read(signal: AbortSignal): Promise<SerialChunk> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#closed) throw new HalError("disconnected", `${this.settings.path}: it is closed`);
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) return chunk;
      await new Promise<void>((resolve) => {
        const wake = () => {
          signal.removeEventListener("abort", wake);
          this.#wake = undefined;
          resolve();
        };
        this.#wake = wake;
        signal.addEventListener("abort", wake);
      });
    }
  }

  write(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    return this.#write(bytes, signal);
  }

  drain(): Promise<void> {
    return Promise.resolve();
  }

  discardInput(): void {
    this.#chunks.length = 0;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#wake?.();
    return Promise.resolve();
  }
}

function serialReaders(drivers: readonly AnyDriver[]): readonly OneWayDriver[] {
  return drivers.flatMap((driver) =>
    driver.kind === "card-reader" && driver.bus === "serial" ? [driver] : []
  );
}

function takesDefaults(driver: OneWayDriver): boolean {
  try {
    driver.parseOptions({});
    return true;
  } catch {
    // A driver that must be told something cannot be guessed.
    return false;
  }
}

/** `port`, telling when its line is lost. */
function endingWith(port: SerialPort, lost: () => void): SerialPort {
  return {
    settings: port.settings,
    async read(signal) {
      try {
        return await port.read(signal);
      } catch (error) {
        if (error instanceof HalError && error.kind === "disconnected") lost();
        throw error;
      }
    },
    write: (bytes, signal) => port.write(bytes, signal),
    drain: (signal) => port.drain(signal),
    discardInput: () => port.discardInput(),
    [Symbol.asyncDispose]: () => port[Symbol.asyncDispose](),
  };
}

function collision(path: string, address: number) {
  return text(
    `${path}：地址 ${address} 上有多台读卡器，先给每台不同的地址`,
    `${path}: several readers answer at address ${address}; give each its own first`,
  );
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
