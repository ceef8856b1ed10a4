/**
 * The box as it is shipped for arm64, on Debian's stock kernel: on QEMU's `virt` machine, whose GPIO
 * chip is a PL061, and on a Raspberry Pi 3B, whose pins are driven by `pinctrl-bcm2835`. Levels are
 * read where the chip has them: in its registers, from outside of the guest.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { linuxClock } from "../../hal/linux/mod.ts";
import { simulateOsdpReaders } from "../../hal/sim/osdp_reader/mod.ts";
import { POLICY, ZHANG } from "../support/gate_bench.ts";
import { Guest, guestRefusal } from "./guest.ts";
import { GuestImage } from "./image.ts";
import { type Machine, PI3, PI3_GPIO, VIRT, VIRT_PL061 } from "./machines.ts";
import { Wire } from "./wire.ts";

/** An emulated ARM is slow to notice, and the host polls. */
const OPENS_MS_MAX = 10_000;
const HOLD_MS = 2_000;
const POLL_MS = 20;
/** The kernel frees a dead process's lines within this. */
const GONE_MS = 1_000;

const clock = linuxClock();
const kept = new AsyncDisposableStack();
let image: GuestImage;

Deno.test.afterAll(async () => {
  await kept[Symbol.asyncDispose]();
});

/** A test in a guest of its own; the first one packs the file system. */
function test(machine: Machine, name: string, fn: (guest: Guest) => Promise<void>): void {
  const refusal = guestRefusal(machine);
  if (refusal !== undefined) console.log(`skipped: ${machine.name}: ${refusal}`);
  Deno.test({
    name: `${machine.name}: ${name}`,
    ignore: refusal !== undefined,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      image ??= kept.use(await GuestImage.pack(machine));
      await using guest = await Guest.boot(machine, image, ["reader"], clock);
      await fn(guest);
    },
  });
}

/** `box.yaml` for a lock on a line of the machine's own chip. */
function config(outputs: string, desk = "", inputs = "", requestToExit = ""): string {
  return `
box: { name: east-gate, timezone: Asia/Shanghai }
api: { listen: "127.0.0.1:9180" }
guard: { heartbeatMs: 10000 }
buses: [{ id: bus, kind: serial, path: /dev/READER, baudRate: 9600 }]
readers:
  - { id: in, driver: osdp, bus: bus, address: 0, door: main }
${desk}
outputs: [{ id: lock, driver: gpio, ${outputs} }]
inputs: [${inputs}]
doors:
  - { id: main, lock: lock, kind: strike, holdMs: ${HOLD_MS}${requestToExit} }
`;
}

/** Starts the box with a reader on a USB adapter; returns how to present a card. */
async function startBox(guest: Guest, yaml: string, adapter: string, stack: AsyncDisposableStack) {
  const stop = new AbortController();
  stack.defer(() => stop.abort());
  const wire = stack.use(await Wire.connect(join(guest.folder, "reader"), clock));
  const reader = simulateOsdpReaders(wire, clock, [{ address: 0 }], stop.signal).reader(0);
  await guest.qemu("device_add", { driver: "usb-serial", chardev: "reader", id: "adapter" });
  await guest.call("boxPrepare", yaml.replace("READER", adapter), POLICY);
  const startMs = clock.monotonicMs();
  await guest.call("boxStart");
  console.log(`the box starts in ${Math.round(clock.monotonicMs() - startMs)} ms`);
  await guest.call("readerIs", "in", true);
  return () => reader.present(32, ZHANG);
}

/** Waits for a level; returns how long that took, in ms. */
async function becomes(level: () => Promise<number>, wanted: number, withinMs: number) {
  const startMs = clock.monotonicMs();
  while (await level() !== wanted) {
    const tookMs = clock.monotonicMs() - startMs;
    if (tookMs > withinMs) throw new Error(`the line is not ${wanted} within ${withinMs} ms`);
    await clock.sleep(POLL_MS, new AbortController().signal);
  }
  return clock.monotonicMs() - startMs;
}

/** The line goes high within the time allowed and low again after the hold. */
async function opens(level: () => Promise<number>): Promise<void> {
  await becomes(level, 1, OPENS_MS_MAX);
  const heldMs = await becomes(level, 0, HOLD_MS + OPENS_MS_MAX);
  assert.ok(heldMs > HOLD_MS / 2, `it was held for ${heldMs} ms`);
}

async function isArm64(guest: Guest): Promise<void> {
  const { kernel, deno, arch } = await guest.call("versions") as Record<string, string>;
  assert.match(kernel!, /^6\.12\.\d+\+deb\d+-arm64$/);
  assert.equal(deno, Deno.version.deno);
  assert.equal(arch, "aarch64");
  console.log(`Linux ${kernel}`);
}

test(
  VIRT,
  "a tap, the exit button and a reader that types open a door on the machine's own GPIO chip",
  async (guest) => {
    await using stack = new AsyncDisposableStack();
    await isArm64(guest);
    // PL061 TRM: GPIODATA is masked by address bits 9:2, GPIODIR is at 0x400.
    const bit = async (address: number) => await guest.word(VIRT_PL061 + address) >> 1 & 1;
    const level = () => bit(0x3fc);
    assert.deepEqual([await bit(0x400), await level()], [0, 0], "an input before the box");
    const tap = await startBox(
      guest,
      // QEMU's power button is line 3 of this chip, and no line of it has a pull.
      config(
        "chip: 9030000.pl061, line: 1",
        "  - { id: desk, driver: hid-keyboard, vendorId: 0x0627, productId: 0x0001, keyGapMs: 3000, door: main }",
        "{ id: button, driver: gpio, chip: 9030000.pl061, line: 3, bias: as-is }",
        ", requestToExit: button",
      ),
      "ttyUSB0",
      stack,
    );
    assert.deepEqual([await bit(0x400), await level()], [1, 0], "an output, low");
    tap();
    await opens(level);
    await guest.qemu("system_powerdown");
    await opens(level);
    await guest.qemu("device_add", { driver: "usb-kbd", id: "keyboard" });
    await guest.call("readerIs", "desk", true);
    await guest.type(String(new DataView(ZHANG.buffer).getUint32(0)));
    await opens(level);
  },
);

test(
  PI3,
  "a tap drives a pin of pinctrl-bcm2835, and the guard puts it back when the box is killed",
  async (guest) => {
    await using stack = new AsyncDisposableStack();
    await isArm64(guest);
    // BCM2835 ARM Peripherals §6.1: GPFSEL1 has three bits a pin from pin 10 on, 1 is an output;
    // GPLEV0 has the level of pins 0 to 31.
    const use = async () => await guest.word(PI3_GPIO + 0x04) >> 21 & 7;
    const level = async () => await guest.word(PI3_GPIO + 0x34) >>> 17 & 1;
    assert.deepEqual([await use(), await level()], [0, 0], "pin 17 is an input before the box");
    const yaml = config("chip: pinctrl-bcm2835, line: 17");
    const tap = await startBox(guest, yaml, "ttyUSB1", stack);
    assert.deepEqual([await use(), await level()], [1, 0], "an output, low");
    tap();
    await opens(level);
    tap();
    await becomes(level, 1, OPENS_MS_MAX);
    await guest.call("boxKill", "SIGKILL");
    await becomes(level, 0, OPENS_MS_MAX);
    assert.equal(await use(), 1, "the guard holds the pin");
    // With nobody left the chip has its way.
    for (const pid of await guest.call("guardPids") as number[]) {
      await guest.call("kill", pid, "SIGKILL");
    }
    await clock.sleep(GONE_MS, new AbortController().signal);
    console.log(`freed, the pin's function is ${await use()} and its level ${await level()}`);
  },
);
