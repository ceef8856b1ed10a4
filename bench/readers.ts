/**
 * From a reader's last word to the relay, by kind of reader, in the real driver, box and journal, each
 * beside a bare loop on the same host in the same run.
 *
 * What is real and what is not, on a machine without readers: time, timers and event loop, drivers, box,
 * policy and journal are real throughout. OSDP goes over a real pseudo-terminal to a reader in another
 * process. The GPIO chip of the Wiegand reader and the HID device are simulated in this process at the
 * edge of the HAL, and so is every relay. The eight OSDP readers share a simulated line that paces
 * each byte at 38400 baud, in virtual time: what this machine's timers add is not in that figure.
 *
 * @module
 */
import { hidKeyboard } from "../drivers/card-reader/hid-keyboard/mod.ts";
import { osdp } from "../drivers/card-reader/osdp/mod.ts";
import { wiegand } from "../drivers/card-reader/wiegand/mod.ts";
import type { CardReader } from "../drivers/contract.ts";
import type { Clock } from "../hal/mod.ts";
import { linuxClock } from "../hal/linux/mod.ts";
import { ABSENT, rs485Line, VirtualClock, VirtualGpio, VirtualHid } from "../hal/sim/mod.ts";
import { simulateOsdpReaders } from "../hal/sim/osdp_reader/mod.ts";
import { BENCH_CHIP, LOCK_LINE, oneDoor } from "./one_door.ts";
import { percentile } from "./percentile.ts";
import type { BenchRow } from "./row.ts";
import { measureTaps } from "./tap.ts";

const TAPS = 100;
/** Longer than the door's hold, so that each tap finds it locked. */
const TAP_EVERY_MS = 130;
const PULSE_MS = 0.05;
const BIT_MS = 2;
/** Silence that ends a Wiegand card; the driver's default, and waited for by the bare loop as well. */
const FRAME_GAP_MS = 20;
/** A simulated reader that was itself held up for so long has sent no card, but two halves. */
const HELD_UP_MS = 10;
/** H10301, facility 12, card 3456. */
const WIEGAND_CARD = "00000110000001101100000001";
const [DATA0, DATA1, ECHO_LINE] = [14, 15, 20];
const HID_ID = { vendorId: 0xffff, productId: 0x0035 };
/** Usages of 0012345678 and Enter on a keyboard (USB HID usage tables, page 7). */
const HID_KEYS = [0x27, 0x27, 0x1e, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x28];

/** Wiegand, HID and OSDP, median and 99th percentile each; then eight secure OSDP readers. */
export async function benchReaders(): Promise<BenchRow[]> {
  return [
    ...rows("Wiegand", "last bit to relay", await wiegandTaps(), {
      what: `simulated GPIO chip, ${FRAME_GAP_MS} ms of silence included`,
      bare: `edge to line on that chip after the same silence`,
    }),
    ...rows("HID", "last report to relay", await hidTaps(), {
      what: "simulated HID device",
      bare: "report read to line written there",
    }),
    ...rows("OSDP", "card reply readable to relay", await measureTaps(), {
      what: "real pty",
      bare: "round trip of 16 bytes on the same pty",
    }),
    ...await eightSecureReaders(),
  ];
}

interface Waits {
  readonly ours: readonly number[];
  readonly bare: readonly number[];
}

function rows(
  reader: string,
  from: string,
  { ours, bare }: Waits,
  told: { readonly what: string; readonly bare: string },
): BenchRow[] {
  return [50, 99].map((p) => {
    const [value, baselineValue] = [percentile(ours, p), percentile(bare, p)];
    return {
      bench: "readers",
      metric: `${reader}: ${from}, p${p} (${told.what})`,
      value,
      unit: "ms",
      baseline: `bare HAL loop: ${told.bare}, p${p}`,
      baselineValue,
      ratio: value / baselineValue,
    };
  });
}

async function wiegandTaps(): Promise<Waits> {
  const clock = linuxClock();
  const gpio = new VirtualGpio(clock);
  const stop = new AbortController();
  for (const line of [DATA0, DATA1]) gpio.setLevel(BENCH_CHIP, line, true);
  /** Pulses the card, and tells when its last bit began; `undefined` if this process held it up. */
  const pulse = async (): Promise<number | undefined> => {
    let lastMs = clock.monotonicMs();
    let heldUp = false;
    for (const bit of WIEGAND_CARD) {
      const line = bit === "0" ? DATA0 : DATA1;
      const nowMs = clock.monotonicMs();
      heldUp ||= nowMs - lastMs > HELD_UP_MS;
      lastMs = nowMs;
      gpio.setLevel(BENCH_CHIP, line, false);
      await clock.sleep(PULSE_MS, stop.signal);
      gpio.setLevel(BENCH_CHIP, line, true);
      await clock.sleep(BIT_MS - PULSE_MS, stop.signal);
    }
    return heldUp ? undefined : lastMs;
  };
  try {
    const bare = await bareEdges(gpio, clock, pulse);
    await using reader = await wiegand.open(
      { ...ABSENT, clock, log: () => {}, gpio },
      wiegand.parseOptions({ chip: BENCH_CHIP, data0: DATA0, data1: DATA1 }),
      stop.signal,
    );
    const ours = await tapped(reader, gpio, clock, 26, WIEGAND_CARD, pulse);
    return { ours, bare };
  } finally {
    stop.abort();
  }
}

/** The least that a program can do: an edge read, the same silence waited for, a line written. */
async function bareEdges(
  gpio: VirtualGpio,
  clock: Clock,
  pulse: () => Promise<number | undefined>,
): Promise<number[]> {
  const stop = new AbortController();
  const input = { chip: BENCH_CHIP, activeLow: true, direction: "input" } as const;
  await using d0 = await gpio.request({ ...input, line: DATA0 }, stop.signal);
  await using d1 = await gpio.request({ ...input, line: DATA1 }, stop.signal);
  await using echo = await gpio.request(
    { chip: BENCH_CHIP, line: ECHO_LINE, direction: "output" },
    stop.signal,
  );
  let written = Promise.withResolvers<number>();
  let cancel = () => {};
  const follow = async (line: typeof d0) => {
    for await (const edge of line.edges(stop.signal)) {
      if (!edge.active) continue;
      cancel();
      cancel = clock.schedule(FRAME_GAP_MS, () => {
        echo.write(true);
        written.resolve(clock.monotonicMs());
      });
    }
  };
  const following = [follow(d0), follow(d1)];
  const waits: number[] = [];
  while (waits.length < TAPS) {
    written = Promise.withResolvers();
    const lastMs = await pulse();
    const writtenMs = await written.promise;
    if (lastMs !== undefined) waits.push(writtenMs - lastMs);
  }
  stop.abort();
  await Promise.all(following);
  return waits;
}

async function hidTaps(): Promise<Waits> {
  const clock = linuxClock();
  const gpio = new VirtualGpio(clock);
  const hid = new VirtualHid(clock);
  const stop = new AbortController();
  const keyboard = hid.plug(HID_ID);
  /** Types the card, and tells when the report with Enter was sent. */
  const type = async (): Promise<number> => {
    let lastMs = 0;
    for (const usage of HID_KEYS) {
      lastMs = clock.monotonicMs();
      keyboard.report(Uint8Array.of(0, 0, usage, 0, 0, 0, 0, 0));
      await clock.sleep(1, stop.signal);
      keyboard.report(new Uint8Array(8));
      await clock.sleep(1, stop.signal);
    }
    return lastMs;
  };
  try {
    const bare = await bareReports(gpio, hid, clock, type);
    await using reader = await hidKeyboard.open(
      { ...ABSENT, clock, log: () => {}, hid },
      hidKeyboard.parseOptions(HID_ID),
      stop.signal,
    );
    const card = (12_345_678).toString(2).padStart(32, "0");
    return { ours: await tapped(reader, gpio, clock, 32, card, type), bare };
  } finally {
    stop.abort();
  }
}

/** The least that a program can do: a report read, a line written. */
async function bareReports(
  gpio: VirtualGpio,
  hid: VirtualHid,
  clock: Clock,
  type: () => Promise<number>,
): Promise<number[]> {
  const stop = new AbortController();
  await using device = await hid.open({ ...HID_ID, exclusive: true }, stop.signal);
  await using echo = await gpio.request(
    { chip: BENCH_CHIP, line: ECHO_LINE, direction: "output" },
    stop.signal,
  );
  let writtenMs = 0;
  const following = (async () => {
    for (;;) {
      const { bytes } = await device.read(stop.signal);
      if (bytes[2] === HID_KEYS.at(-1)) {
        echo.write(true);
        writtenMs = clock.monotonicMs();
      }
    }
  })().catch(() => {
    // Aborted: that is how it ends.
  });
  const waits: number[] = [];
  for (let tap = 0; tap < TAPS; tap++) {
    const lastMs = await type();
    waits.push(writtenMs - lastMs);
  }
  stop.abort();
  await following;
  return waits;
}

/** Presents a card again and again at a door of its own; from its last word to the lock's line. */
async function tapped(
  reader: CardReader,
  gpio: VirtualGpio,
  clock: Clock,
  bits: number,
  card: string,
  present: () => Promise<number | undefined>,
): Promise<number[]> {
  await using door = await oneDoor(reader, gpio, clock, { bits, value: BigInt(`0b${card}`) });
  let drivenMs: number | undefined;
  gpio.onDriven((_chip, line, high, atMs) => {
    if (line === LOCK_LINE && high) drivenMs ??= atMs;
  });
  const never = new AbortController().signal;
  const waits: number[] = [];
  for (let tap = 0; waits.length < TAPS; tap++) {
    if (tap > 2 * TAPS) throw new Error("this machine is too busy to play a reader; try again");
    drivenMs = undefined;
    const lastMs = await present();
    await clock.sleep(TAP_EVERY_MS, never);
    if (lastMs === undefined) continue;
    if (drivenMs === undefined) throw new Error(`tap ${tap} opened nothing`);
    waits.push(drivenMs - lastMs);
  }
  door.check();
  return waits;
}

const LINE_READERS = 8;
const LINE_BAUD = 38_400;
const LINE_REPLY_MS = 3;
const LINE_TAPS = 400;

/** Tap to relay with eight secure readers on one line, beside what the line's own bytes take. */
async function eightSecureReaders(): Promise<BenchRow[]> {
  const clock = new VirtualClock();
  const stop = new AbortController();
  const line = rs485Line(clock);
  const key = (address: number) => new Uint8Array(16).fill(address + 1);
  const devices = Array.from({ length: LINE_READERS }, (_, address) =>
    simulateOsdpReaders(
      line.join(LINE_BAUD),
      clock,
      [{ address, key: key(address), secureOnly: true, replyDelayMs: LINE_REPLY_MS }],
      stop.signal,
    ).readers[0]!);
  await using bus = await osdp.open(
    { clock, log: () => {}, openPort: () => Promise.resolve(line.join(LINE_BAUD)) },
    devices.map((_, address) => osdp.parseOptions({ address, key: key(address).toHex() })),
    stop.signal,
  );
  for (const reader of bus.readers) {
    reader.onEvent((event) => {
      if (event.kind === "card") reader.output(0).set(true, { revertAfterMs: 100 });
    });
  }
  await clock.advance(5_000);
  const waits: number[] = [];
  let tapped: { readonly address: number; readonly atMs: number } | undefined;
  for (const [address, device] of devices.entries()) {
    device.onOutput((_index, active, atMs) => {
      if (!active || tapped?.address !== address) return;
      waits.push(atMs - tapped.atMs);
      tapped = undefined;
    });
  }
  for (let tap = 0; tap < LINE_TAPS; tap++) {
    // A step that shares no divisor with the cycle, so that taps fall into every part of it.
    await clock.advance(160 + (tap * 7.919) % 90);
    tapped = { address: (tap * 3) % LINE_READERS, atMs: clock.monotonicMs() };
    devices[tapped.address]!.present(32, Uint8Array.of(0, 0, tap >> 8, tap & 0xff));
  }
  await clock.advance(500);
  stop.abort();
  if (waits.length !== LINE_TAPS) throw new Error(`${LINE_TAPS} taps, ${waits.length} relays`);
  const baselineValue = lineCycleMs();
  return [50, 99].map((p) => ({
    bench: "readers",
    metric:
      `OSDP, ${LINE_READERS} secure readers at ${LINE_BAUD} baud: tap to relay, p${p} (simulated line, virtual time)`,
    value: percentile(waits, p),
    unit: "ms",
    baseline: "the line's own cycle with a tap in it, computed from its bytes",
    baselineValue,
    ratio: percentile(waits, p) / baselineValue,
  }));
}

/** A whole round of polls, then the turn with the card and the order to the relay (IEC 60839-11-5, annex D). */
function lineCycleMs(): number {
  const characterMs = 10_000 / LINE_BAUD;
  const quietMs = 2 * characterMs;
  /** Header, security block, code, MAC and CRC around data that is padded to blocks of 16. */
  const frameMs = (data: number) =>
    (14 + (data === 0 ? 0 : 16 * Math.floor(data / 16 + 1))) * characterMs;
  const pollMs = 2 * frameMs(0) + LINE_REPLY_MS + quietMs;
  const tapMs = frameMs(0) + LINE_REPLY_MS + frameMs(8) + quietMs + frameMs(8);
  return LINE_READERS * pollMs + tapMs;
}
