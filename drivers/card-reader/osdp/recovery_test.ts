/**
 * One reader of several goes wrong, on a line that paces its bytes: it comes back by itself within
 * 10 s of being right again, and no tap at the others is lost or told twice meanwhile.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type LineRig, openLineRig } from "./rig_test.ts";
import { Random } from "./random_test.ts";

const OTHERS = [1, 2, 3];
const KEY = (address: number) => new Uint8Array(16).fill(0xa0 + address);
const NEW_KEY = new Uint8Array(16).fill(0x77);
const TAP_EVERY_MS = 250;

async function open(secure: boolean, each: Readonly<Record<number, object>> = {}) {
  const addresses = [0, ...OTHERS];
  const rig = await openLineRig(
    addresses.map((address) => ({
      address,
      ...(secure ? { key: KEY(address), secureOnly: true } : {}),
    })),
    {
      baudRate: 38_400,
      keys: secure
        ? Object.fromEntries(
          addresses.filter((one) => each[one] === undefined).map((one) => [one, KEY(one).toHex()]),
        )
        : {},
      each,
    },
  );
  await rig.clock.advance(3_000);
  rig.events.length = 0;
  return rig;
}

/** Taps at the other readers in turn for `forMs`, and afterwards each of them was told once. */
async function tapOthers(rig: LineRig, forMs: number): Promise<string[]> {
  const tapped: string[] = [];
  for (let passedMs = 0; passedMs < forMs; passedMs += TAP_EVERY_MS) {
    const address = OTHERS[tapped.length % OTHERS.length]!;
    const number = Uint8Array.of(address, 0, tapped.length >> 8, tapped.length & 0xff);
    rig.devices[address]!.present(32, number);
    tapped.push(`${address}: card 32 ${number.toHex()}`);
    await rig.clock.advance(TAP_EVERY_MS);
  }
  return tapped;
}

function toldOnce(rig: LineRig, tapped: readonly string[], what: string): void {
  const told = rig.events.filter((event) => /^[123]: card/.test(event));
  assert.deepEqual(told.toSorted(), tapped.toSorted(), what);
}

/** How long reader 0 takes until a tap at it is told, in ms. */
async function backAfterMs(rig: LineRig): Promise<number> {
  const fromMs = rig.clock.monotonicMs();
  const told = () => rig.events.filter((event) => event.startsWith("0: card")).length;
  const before = told();
  while (told() === before) {
    assert.ok(rig.clock.monotonicMs() - fromMs < 10_000, `not back: ${rig.logs.join("; ")}`);
    rig.devices[0]!.present(32, Uint8Array.of(0, 1, 2, 3));
    await rig.clock.advance(250);
  }
  return rig.clock.monotonicMs() - fromMs;
}

type Harm = { readonly name: string; readonly harm: (rig: LineRig) => () => void };

const set = (name: string, faults: object, right: object): Harm => ({
  name,
  harm: (rig) => {
    Object.assign(rig.devices[0]!.faults, faults);
    return () => Object.assign(rig.devices[0]!.faults, right);
  },
});

const HARMS: readonly Harm[] = [
  {
    name: "it reboots, again and again",
    harm: (rig) => {
      let over = false;
      const again = () => {
        if (over) return;
        rig.devices[0]!.reboot(700);
        rig.clock.schedule(2_300, again);
      };
      again();
      return () => over = true;
    },
  },
  {
    name: "it reboots for long",
    harm: (rig) => {
      rig.devices[0]!.reboot(10_000);
      return () => {};
    },
  },
  set("it answers late", { lateMs: 230 }, { lateMs: 0 }),
  set("it answers very late, into its neighbours' turns", { lateMs: 640 }, { lateMs: 0 }),
  set("it answers twice", { twice: true }, { twice: false }),
  set("it answers late and twice", { lateMs: 210, twice: true }, { lateMs: 0, twice: false }),
  set("it is dumb", { mute: true }, { mute: false }),
  set("it is busy for ever", { busyReplies: 1e9 }, { busyReplies: 0 }),
  set("it spoils its answers", { corruptReplies: 1e9 }, { corruptReplies: 0 }),
];

for (const secure of [true, false]) {
  for (const { name, harm } of HARMS) {
    Deno.test(`${secure ? "secure" : "clear"}: ${name}; it recovers, the others lose no tap`, async () => {
      await using rig = await open(secure);
      const right = harm(rig);
      const tapped = await tapOthers(rig, 12_000);
      right();
      await backAfterMs(rig);
      await rig.clock.advance(1_000);
      toldOnce(rig, tapped, name);
    });
  }
}

Deno.test("secure: its key is swapped; it is out until the key file has the new one, and back within 10 s of that", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const keyFile = `${folder}/reader.key`;
    await Deno.writeTextFile(keyFile, KEY(0).toHex());
    await using rig = await open(true, { 0: { keyFile } });
    rig.devices[0]!.swapKey(NEW_KEY);
    rig.devices[0]!.present(32, Uint8Array.of(9, 9, 9, 9));
    const tapped = await tapOthers(rig, 15_000);
    assert.deepEqual(rig.events.filter((event) => event.startsWith("0:")), ["0: offline protocol"]);
    await Deno.writeTextFile(keyFile, NEW_KEY.toHex());
    await backAfterMs(rig);
    await rig.clock.advance(1_000);
    toldOnce(rig, tapped, "the others");
    assert.ok(!rig.events.includes("0: card 32 09090909"), "nothing from meanwhile");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

for (const secure of [true, false]) {
  Deno.test(`${secure ? "secure" : "clear"}: a station that babbles on the line delays taps and loses none; all recover when it stops`, async () => {
    const { seed, random } = Random.seeded();
    console.log(`seed ${seed}`);
    await using rig = await open(secure);
    const babbler = rig.join();
    let over = false;
    let bursts = 0;
    const { signal } = new AbortController();
    const babble = () => {
      if (over) return;
      bursts++;
      // Garbage, and heads of frames that promise more than comes.
      const bytes = random.bytes(1 + random.below(24));
      if (random.below(3) === 0) {
        bytes.set([0x53, 0x80 | random.below(4), random.below(200)].slice(0, bytes.length));
      }
      void babbler.write(bytes, signal);
      rig.clock.schedule(30 + random.below(270), babble);
    };
    babble();
    const tapped = await tapOthers(rig, 20_000);
    over = true;
    await backAfterMs(rig);
    await rig.clock.advance(2_000);
    assert.ok(bursts > 90, `${bursts} bursts`);
    toldOnce(rig, tapped, `seed ${seed}`);
    assert.deepEqual(
      [0, ...OTHERS].filter((address) => !rig.bus.reader(address).online()),
      [],
    );
  });
}

Deno.test("a reader to which noise has spoken in our place is started anew, and its next tap is told within 2 s", async () => {
  await using rig = await open(false);
  const device = rig.devices[0]!;
  const stranger = rig.join();
  const { signal } = new AbortController();
  let spoken = false;
  device.onCommand((_code, sequence) => {
    if (spoken || sequence === 0) return;
    spoken = true;
    // An unknown command, in checksum, under the number that is ours to use next: it keeps its answer to that.
    const next = sequence === 3 ? 1 : sequence + 1;
    const frame = [0x53, 0x00, 0x07, 0x00, next, 0x3f];
    const sum = -frame.reduce((a, b) => a + b, 0) & 0xff;
    // Once its answer to us is out.
    rig.clock.schedule(8, () => void stranger.write(Uint8Array.from([...frame, sum]), signal));
  });
  await rig.clock.advance(300);
  assert.ok(spoken);
  device.present(32, Uint8Array.of(7, 7, 7, 7));
  await rig.clock.advance(2_000);
  assert.ok(rig.logs.some((line) => line.includes("answers something else")), rig.logs.join("; "));
  device.present(32, Uint8Array.of(8, 8, 8, 8));
  await rig.clock.advance(500);
  assert.deepEqual(
    rig.events.filter((event) => event.startsWith("0:")).at(-1),
    "0: card 32 08080808",
  );
  assert.equal(rig.bus.reader(0).online(), true);
});
