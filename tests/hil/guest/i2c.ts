/**
 * What the hosts of converters and of 1-Wire make of the kernel's own drivers. Their chips are those of
 * i2c-stub, which holds registers and answers what was put there.
 *
 * @module
 */
import { linuxAnalogHost, linuxClock, linuxOneWireHost } from "../../../hal/linux/mod.ts";

/** An ADS1115, and a DS2482: a 1-Wire master. */
const CONVERTER = "0x48";
const MASTER = "0x18";
/** The converter takes 8 ms a sample; the host looks ten times a second. */
const SAMPLED_MS = 600;
/** Longer than the host waits before it looks for a lost converter again. */
const FOUND_MS = 3_000;
const ADAPTERS = "/sys/bus/i2c/devices";
const BUS = "w1_bus_master1";
const W1 = `/sys/bus/w1/devices/${BUS}`;

const clock = linuxClock();
const { signal } = new AbortController();
const sleep = (ms: number) => clock.sleep(ms, signal);
const kindOf = (promise: Promise<unknown>) =>
  promise.then(() => "none", (error) => (error as { kind?: string }).kind ?? String(error));

async function run(command: string, ...args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args: [...args] }).output();
  if (!success) {
    throw new Error(`${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  }
}

/** Number of the stub's adapter; it is loaded with the chips' addresses at the first call. */
async function stub(): Promise<string> {
  const find = () =>
    [...Deno.readDirSync(ADAPTERS)].map(({ name }) => /^i2c-(\d+)$/.exec(name)?.[1])
      .find((number) =>
        number !== undefined &&
        Deno.readTextFileSync(`${ADAPTERS}/i2c-${number}/name`).startsWith("SMBus stub")
      );
  const there = find();
  if (there !== undefined) return there;
  await run("insmod", "/modules/i2c-stub.ko", `chip_addr=${MASTER},${CONVERTER}`);
  return find()!;
}

/** `-f`: its driver has the chip already. */
const poke = async (chip: string, register: string, value: string, width = "b") =>
  run("i2cset", "-f", "-y", await stub(), chip, register, value, width);
const tell = async (file: string, text: string) =>
  Deno.writeTextFileSync(`${ADAPTERS}/i2c-${await stub()}/${file}`, text);

/** Shares that a converter's channel reads: of its range, of 3.3 V, without it, and when it is back. */
async function converter(): Promise<unknown> {
  const host = linuxAnalogHost(clock);
  // 13200, its high byte first as on the wire.
  await poke(CONVERTER, "0x00", "0x9033", "w");
  await tell("new_device", `ads1115 ${CONVERTER}`);
  const seen: Record<string, unknown> = {};
  {
    await using line = await host.request({ chip: "ads1015", channel: 0 }, signal);
    await sleep(SAMPLED_MS);
    seen.range = line.read();
  }
  const settings = { chip: "ads1015", channel: 0, referenceMv: 3_300 };
  await using line = await host.request(settings, signal);
  seen.taken = await kindOf(host.request(settings, signal));
  await sleep(SAMPLED_MS);
  seen.supply = line.read();
  await tell("delete_device", CONVERTER);
  await sleep(SAMPLED_MS);
  seen.gone = line.read() ?? null;
  await tell("new_device", `ads1115 ${CONVERTER}`);
  await sleep(FOUND_MS);
  seen.back = line.read();
  await tell("delete_device", CONVERTER);
  seen.none = await kindOf(host.request({ chip: "ads1015", channel: 1 }, signal));
  return seen;
}

/** Searches of a 1-Wire bus: empty, with a button that the kernel was told of, and until it forgets it. */
async function oneWire(): Promise<unknown> {
  const host = linuxOneWireHost(clock);
  const attempts = () => Number(Deno.readTextFileSync(`${W1}/w1_master_attempts`));
  // What its driver asks after a reset of the chip, and after one of the wire: somebody is there.
  await poke(MASTER, "0xf0", "0x18");
  await poke(MASTER, "0xb4", "0x02");
  await tell("new_device", `ds2482 ${MASTER}`);
  const seen: Record<string, unknown> = { empty: await host.search(BUS, signal) };
  Deno.writeTextFileSync(`${W1}/w1_master_add`, "01-0000169b7c3f");
  const before = attempts();
  seen.button = await host.search(BUS, signal);
  seen.searches = attempts() - before;
  // No button answers, so the kernel gives it up after some searches.
  let kept = 0;
  while (kept < 50 && (await host.search(BUS, signal)).length > 0) kept++;
  seen.forgotten = kept < 50;
  await tell("delete_device", MASTER);
  seen.none = await kindOf(host.search(BUS, signal));
  return seen;
}

/** What the host may call. */
export const i2cProcedures = { converter, oneWire };
