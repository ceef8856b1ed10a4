/**
 * Learning what is on GPIO lines and USB, with the drivers of the box over simulated lines and a
 * simulated reader that types: what no pseudo-terminal can stand for.
 */
import assert from "node:assert/strict";
import { readFrame } from "../../drivers/card-reader/wiegand/mod.ts";
import { DRIVERS } from "../../drivers/registry.ts";
import type { DeviceInventory, FoundDevice } from "../../hal/mod.ts";
import { linuxClock } from "../../hal/linux/mod.ts";
import { ABSENT, keyboardReports, VirtualGpio, VirtualHid } from "../../hal/sim/mod.ts";
import { type AnyDriver, parseBoxConfig } from "../../runtime/config/mod.ts";
import { ConfigDraft, learn, type Terminal } from "../../runtime/installer/mod.ts";
import { until } from "../support/gate_bench.ts";

const CHIP = "pinctrl-bcm2711";
const clock = linuxClock();
const drivers = DRIVERS as readonly AnyDriver[];

/** Answers each prompt by the first of `answers` that fits it; waits for those that are not there yet. */
class Script implements Terminal {
  readonly language = "en";
  readonly shown: string[] = [];
  readonly #answers: [RegExp, string][];
  readonly #typed: string[] = [];
  #wake: () => void = () => {};

  constructor(answers: readonly [RegExp, string][]) {
    this.#answers = [...answers];
  }

  say(line: string): void {
    this.shown.push(line);
  }

  prompt(prompt: string): void {
    const question = `${this.shown.slice(-7).join("\n")}\n${prompt}`;
    this.shown.push(prompt);
    const at = this.#answers.findIndex(([wanted]) => wanted.test(question));
    if (at < 0) assert.fail(`nobody answers ${question}`);
    this.type(this.#answers.splice(at, 1)[0]![1]);
  }

  type(line: string): void {
    this.#typed.push(line);
    this.#wake();
  }

  async ready(signal: AbortSignal): Promise<void> {
    while (this.#typed.length === 0) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }

  line(): string | undefined {
    return this.#typed.shift();
  }

  get left(): number {
    return this.#answers.length;
  }
}

Deno.test("a Wiegand reader, a USB reader, contacts and a relay on GPIO lines make a valid box.yaml", async () => {
  const gpio = new VirtualGpio(clock);
  const hid = new VirtualHid(clock);
  const usb = hid.plug({ vendorId: 0x08ff, productId: 0x0009, product: "RFID Reader" });
  const keyboard = hid.plug({ vendorId: 0x046d, productId: 0xc31c, product: "Keyboard" });
  const driven: string[] = [];
  gpio.onDriven((_chip, line, high) => driven.push(`${line} ${high}`));
  const chip: FoundDevice = {
    kind: "gpio-chip",
    path: "/dev/gpiochip0",
    stable: CHIP,
    description: "Pi header",
  };
  const inventory: DeviceInventory = {
    list: () => Promise.resolve([chip]),
    async *watch() {},
  };
  const stop = new AbortController();
  const terminal = new Script([
    [/Name of this box/, "gate"],
    [/Time zone/, "Asia/Shanghai"],
    [/How many doors/, "2"],
    [/Id of door 1/, ""],
    [/Kind of lock[^]*Choice/, "2"],
    [/Id of door 2/, "yard"],
    [/Kind of lock[^]*Choice/, "1"],
    [/Is 046d:c31c Keyboard a card reader/, "n"],
    [/Is 08ff:0009 RFID Reader a card reader/, "y"],
    [/Watch lines of pinctrl-bcm2711[^]*4-13,16-27/, "4-6,16"],
    // The card's parity says that line 5 is D0.
    [/A 26-bit card 18,52719 was just seen at \S+ lines 5 \(D0\) and 4 \(D1\)/, "y"],
    [/Id of this reader/, ""],
    [/Which door is it for\?[^]*Choice/, "2"],
    [/card 12345678 was just seen at USB 08ff:0009/, "y"],
    [/Id of this reader/, "desk"],
    [/Which door is it for\?[^]*Choice/, "1"],
    [/Line 16 of|line 16 of pinctrl-bcm2711 just went active[^]*Choice/, "2"],
    [/Of which door\?[^]*Choice/, "2"],
    [/Id of this input \[yard-exit\]/, ""],
    [/drives the lock of door main\?[^]*Choice/, "1"],
    [/GPIO chip/, ""],
    [/Line \[17\]/, "17"],
    [/low level/, "y"],
    [/Drive line 17 .* for 2 s/, "y"],
    [/Did the lock click/, "y"],
    [/drives the lock of door yard\?[^]*Choice/, "1"],
    [/GPIO chip/, ""],
    [/Line \[17\]/, "26"],
    [/low level/, "n"],
    [/Drive line 26 .* for 2 s/, ""],
    [/Take it without trying/, "y"],
  ]);
  const draft = ConfigDraft.of(undefined);
  const learning = learn(draft, { name: "box", timezone: "UTC" }, terminal, {
    device: { ...ABSENT, clock, log: () => {}, gpio, hid },
    serial: { open: () => Promise.reject(new Error("there is no port")) },
    inventory,
    finders: {},
    drivers,
    readPulses: (pulses) => {
      const frame = readFrame(pulses, { parity: "check" });
      if (frame.kind === "card") return { bits: frame.bits, data: frame.data };
      return frame.kind === "refused" && frame.why === "swapped" ? "swapped" : undefined;
    },
  }, stop.signal);
  const shows = (what: RegExp) =>
    until(String(what), () => terminal.shown.some((line) => what.test(line)));
  const pause = (ms: number) => clock.sleep(ms, stop.signal);
  await shows(/^Watching/);
  await until("the USB reader is listened to", () => usb.held !== "no");
  assert.equal(keyboard.held, "no", "nobody takes the keyboard away");
  await pause(50);
  for (const bit of "00001001011001101111011111") {
    const line = bit === "0" ? 5 : 4;
    gpio.setLevel(CHIP, line, false);
    await pause(1);
    gpio.setLevel(CHIP, line, true);
    await pause(1);
  }
  await shows(/Added reader in for door yard/);
  for (const report of keyboardReports("12345678\n")) usb.report(report);
  await shows(/Added reader desk for door main/);
  gpio.setLevel(CHIP, 16, false);
  await pause(200);
  gpio.setLevel(CHIP, 16, true);
  await shows(/Added input yard-exit/);
  terminal.type("d");
  await learning;
  assert.equal(terminal.left, 0);
  // Released, pressed for two seconds, released: an active-low relay board.
  assert.deepEqual(driven, ["17 true", "17 false", "17 true"]);
  assert.equal(usb.held, "no", "all is let go at the end");
  const text = draft.toString();
  const config = parseBoxConfig(text, "box.yaml", drivers);
  assert.deepEqual(config.doors.map((d) => [d.id, d.kind, d.lock, d.requestToExit]), [
    ["main", "magnet", "lock", undefined],
    ["yard", "strike", "yard-lock", "yard-exit"],
  ]);
  for (
    const line of [
      "  - { id: in, driver: wiegand, chip: pinctrl-bcm2711, data0: 5, data1: 4, door: yard }",
      "  - { id: desk, driver: hid-keyboard, vendorId: 0x8ff, productId: 0x9, door: main }",
      "  - { id: lock, driver: gpio, chip: pinctrl-bcm2711, line: 17, activeLow: true, safe: released }",
      "  - { id: yard-exit, driver: gpio, chip: pinctrl-bcm2711, line: 16, bias: pull-up, activeLow: true }",
    ]
  ) assert.ok(text.includes(line), `${line} in ${text}`);
});
