import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { crc16 } from "../../../hal/mod.ts";
import { COMMAND } from "./commands.ts";
import { parseOsdpOptions } from "./options.ts";
import { openRig, recovers, type Rig } from "./rig_test.ts";
import { SCBK_D } from "./secure_crypto.ts";

const CARD = Uint8Array.of(0xde, 0xad, 0xbe, 0xef);
const KEY = Uint8Array.fromHex("000102030405060708090a0b0c0d0e0f");
const OTHER = Uint8Array.fromHex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
const keys = { 0: KEY.toHex() };
const SECURE = { address: 0, key: KEY, secureOnly: true } as const;

Deno.test("a reader with a key comes online in a secure session, and all of its traffic is sealed", async () => {
  const types: number[] = [];
  const texts: string[] = [];
  await using rig = await openRig([SECURE], {
    keys,
    interfere: (bytes) => {
      if ((bytes[4]! & 0x08) !== 0) types.push(bytes[6]!);
      texts.push(bytes.toHex());
      return [{ bytes }];
    },
  });
  await rig.clock.advance(500);
  assert.deepEqual(rig.events, ["0: online 1.4.2"]);
  assert.equal(rig.line.reader(0).secure, true);
  assert.deepEqual(types.slice(0, 4), [0x11, 0x12, 0x13, 0x14]);
  const before = texts.length;
  rig.line.reader(0).present(32, CARD);
  rig.reader(0).onEvent((event) => {
    if (event.kind === "card") rig.reader(0).output(0).set(true, { revertAfterMs: 3_000 });
  });
  await rig.clock.advance(200);
  assert.deepEqual(rig.events.slice(1), ["0: card 32 deadbeef"]);
  assert.equal(rig.line.reader(0).output(0), true, "a sealed order is obeyed");
  assert.ok(types.slice(4).every((type) => type >= 0x15 && type <= 0x18));
  assert.ok(types.includes(0x17) && types.includes(0x18));
  const wire = texts.slice(before).join("");
  assert.ok(!wire.includes("deadbeef"), "nobody on the line reads the card");
  assert.ok(!texts.join("").includes(KEY.toHex()));
  assert.ok(!rig.logs.join("").includes(KEY.toHex()));
});

for (const emptyReplies of [0x16, 0x17, 0x18] as const) {
  Deno.test(`empty replies as SCS_${emptyReplies.toString(16)} are understood`, async () => {
    await using rig = await openRig([{ ...SECURE, emptyReplies }], { keys });
    await rig.clock.advance(500);
    rig.line.reader(0).present(32, CARD);
    await rig.clock.advance(5_000);
    assert.deepEqual(rig.events, ["0: online 1.4.2", "0: card 32 deadbeef"]);
    assert.ok(!rig.logs.some((line) => line.includes("lost")), rig.logs.join("; "));
  });
}

Deno.test("a reader with checksums alone has a secure session too", async () => {
  await using rig = await openRig([SECURE], { keys, driver: { check: "checksum" } });
  await rig.clock.advance(500);
  rig.line.reader(0).present(37, Uint8Array.of(1, 2, 3, 4, 8));
  await rig.clock.advance(100);
  assert.deepEqual(rig.events, ["0: online 1.4.2", "0: card 37 0102030408"]);
});

Deno.test("lost, late, double and broken replies, and BUSY, do not break the session", async () => {
  const faults = [
    { loseReplies: 2 },
    { lateMs: 260 },
    { twice: true },
    { corruptReplies: 2 },
    { garbageReplies: 3 },
    { busyReplies: 3 },
    { twice: true, lateMs: 199 },
  ];
  for (const fault of faults) {
    const sent: string[] = [];
    await using rig = await openRig([SECURE], {
      keys,
      interfere: (bytes, from) => {
        if (from === "a") sent.push(bytes.toHex());
        return [{ bytes }];
      },
    });
    await rig.clock.advance(500);
    rig.events.length = 0;
    sent.length = 0;
    Object.assign(rig.line.reader(0).faults, fault);
    for (let i = 0; i < 3; i++) {
      rig.line.reader(0).present(32, Uint8Array.of(0, 0, 0, i));
      await rig.clock.advance(1_900);
    }
    const wanted = ["0: card 32 00000000", "0: card 32 00000001", "0: card 32 00000002"];
    assert.deepEqual(rig.events, wanted, JSON.stringify(fault));
    assert.ok(!rig.logs.some((line) => line.includes("lost")), JSON.stringify(fault));
    assert.equal(rig.line.reader(0).secure, true);
    if ("loseReplies" in fault) assert.equal(sent[0], sent[1], "a retry repeats the very bytes");
  }
});

Deno.test("session loss, wrong MACs, a reboot and a pulled adapter are got over, the neighbour hears nothing of it", async () => {
  const ways: readonly [string, (rig: Rig) => void][] = [
    ["loss", (rig) => rig.line.reader(0).loseSession()],
    ["wrong MAC", (rig) => rig.line.reader(0).faults.forgedReplies = 1],
    ["wrong MACs", (rig) => rig.line.reader(0).faults.forgedReplies = 3],
    ["reboot", (rig) => rig.line.reader(0).reboot(1_500)],
    ["long reboot", (rig) => rig.line.reader(0).reboot(20_000)],
  ];
  for (const [name, harm] of ways) {
    await using rig = await openRig([SECURE, { address: 1, key: OTHER, secureOnly: true }], {
      keys: { 0: KEY.toHex(), 1: OTHER.toHex() },
    });
    await rig.clock.advance(1_000);
    const restarts: number[] = [];
    rig.line.reader(1).onCommand((_code, sequence) => {
      if (sequence === 0) restarts.push(sequence);
    });
    harm(rig);
    for (let i = 0; i < 40; i++) {
      rig.line.reader(1).present(32, Uint8Array.of(1, 1, 1, i));
      await rig.clock.advance(500);
    }
    await recovers(rig, 0);
    const cards = rig.events.filter((event) => event.startsWith("1: card"));
    assert.equal(cards.length, 40, `${name}: each tap at the neighbour`);
    assert.deepEqual(restarts, [], name);
    assert.equal(rig.line.reader(0).secure, true);
  }
  await using rig = await openRig([SECURE], { keys });
  await rig.clock.advance(500);
  rig.unplug(1_000);
  await recovers(rig, 0);
});

Deno.test("a short session loss is no outage, and is over in a second", async () => {
  await using rig = await openRig([SECURE], { keys });
  await rig.clock.advance(500);
  rig.line.reader(0).loseSession();
  await rig.clock.advance(1_000);
  rig.line.reader(0).present(32, CARD);
  await rig.clock.advance(100);
  assert.deepEqual(rig.events, ["0: online 1.4.2", "0: card 32 deadbeef"]);
});

Deno.test("a reader that loses each session is tried at a bounded rate", async () => {
  await using rig = await openRig([SECURE, { address: 1 }], { keys });
  await rig.clock.advance(500);
  let challenges = 0;
  rig.line.reader(0).onCommand((code) => {
    if (code === COMMAND.challenge) challenges++;
    if (code === COMMAND.poll) rig.line.reader(0).loseSession();
  });
  await rig.clock.advance(60_000);
  assert.ok(challenges >= 10 && challenges <= 25, `${challenges} in a minute`);
  assert.equal(rig.reader(0).online(), false);
});

Deno.test("without the right key there is no reader, no clear text and no default key, and a clear word", async () => {
  const cases = [
    { device: { address: 0, key: OTHER }, says: "another key" },
    { device: { address: 0, installMode: true }, says: "public default" },
    { device: { address: 0 }, says: "refuses" },
    { device: { address: 0, clearOnly: true }, says: "knows no secure channel" },
  ];
  for (const { device, says } of cases) {
    await using rig = await openRig([device, { address: 1 }], { keys });
    const codes = new Map<number, number>();
    rig.line.reader(0).onCommand((code) => codes.set(code, (codes.get(code) ?? 0) + 1));
    for (let i = 0; i < 40; i++) {
      rig.line.reader(0).present(32, CARD);
      rig.line.reader(0).setTamper(i % 2 === 0);
      rig.reader(0).output(0).set(true);
      await rig.clock.advance(500);
    }
    assert.deepEqual(rig.events, ["0: offline protocol", "1: online 1.4.2"], says);
    assert.ok(rig.logs.some((line) => line.includes(says)), `${says}: ${rig.logs.join("; ")}`);
    const spoken = [...codes.keys()].sort((a, b) => a - b);
    assert.deepEqual(spoken, [COMMAND.id, COMMAND.capabilities, COMMAND.challenge], says);
    assert.ok(codes.get(COMMAND.challenge)! < 12, "not hammered");
    assert.equal(rig.line.reader(0).output(0), false);
  }
});

Deno.test("a reader without key that is a liar in clear text is not believed", async () => {
  // It takes the place of the true one on the wire, and answers everything in clear text.
  await using rig = await openRig([{ address: 0, key: KEY }], {
    keys,
    interfere: (bytes, from) => {
      if (from !== "b") return [{ bytes }];
      const sealed = (bytes[4]! & 0x08) !== 0 && bytes[6]! >= 0x15;
      return sealed ? [{ bytes: clearCard(bytes[4]! & 3) }] : [{ bytes }];
    },
  });
  await rig.clock.advance(20_000);
  assert.ok(!rig.events.some((event) => event.includes("card") || event.includes("online")));
});

Deno.test("what is said in clear text before the session, but who it is, is not heard", async () => {
  let lies = 0;
  await using rig = await openRig([SECURE], {
    keys,
    interfere: (bytes, from) => {
      // In the place of PDCAP: the housing is open.
      if (from === "a" || bytes[5] !== 0x46) return [{ bytes }];
      return lies++ === 0 ? [{ bytes: clearReply(bytes[4]! & 3, 0x48, [1, 0]) }] : [{ bytes }];
    },
  });
  await rig.clock.advance(3_000);
  assert.ok(lies > 1);
  assert.deepEqual(rig.events, ["0: online 1.4.2"]);
});

/** A card in clear text from reader 0, as anyone on the two wires can make it. */
function clearCard(sequence: number): Uint8Array {
  return clearReply(sequence, 0x50, [0, 0, 32, 0, ...CARD]);
}

function clearReply(sequence: number, id: number, data: readonly number[]): Uint8Array {
  const body = [0x53, 0x80, 0, 0, sequence | 0x04, id, ...data];
  body[2] = body.length + 2;
  const crc = crc16(Uint8Array.from(body));
  return Uint8Array.from([...body, crc & 0xff, crc >> 8]);
}

Deno.test("a recorded card that is sent again opens nothing", async () => {
  let recorded: Uint8Array | undefined;
  let replays = 0;
  await using rig = await openRig([SECURE], {
    keys,
    interfere: (bytes, from) => {
      const encrypted = from === "b" && bytes[6] === 0x18;
      if (encrypted && replays === 0) recorded = bytes.slice();
      const fits = recorded !== undefined && ((recorded[4]! ^ bytes[4]!) & 3) === 0;
      if (from === "b" && replays > 0 && fits && bytes[6] === 0x16) {
        replays--;
        return [{ bytes: recorded! }];
      }
      return [{ bytes }];
    },
  });
  await rig.clock.advance(500);
  rig.line.reader(0).present(32, CARD);
  await rig.clock.advance(300);
  assert.equal(rig.events.filter((event) => event.includes("card")).length, 1);
  replays = 1;
  await rig.clock.advance(3_000);
  assert.equal(replays, 0, "it was sent");
  assert.equal(rig.events.filter((event) => event.includes("card")).length, 1);
  assert.ok(rig.logs.some((line) => line.includes("wrong MAC")));
  await recovers(rig, 0);
});

Deno.test("any flipped bit of a sealed reply, with its check made right, gives no event", async () => {
  const seed = randomInt(2 ** 31);
  console.log(`seed ${seed}`);
  let state = seed;
  const random = (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >>> 8) % below;
  };
  let flips = 0;
  let armed = false;
  await using rig = await openRig([SECURE], {
    keys,
    interfere: (bytes, from) => {
      if (from === "a" || !armed || (bytes[4]! & 0x08) === 0 || bytes[6] !== 0x18) {
        return [{ bytes }];
      }
      armed = false;
      flips++;
      const bad = bytes.slice();
      // From the reply code on: in the header it would answer nothing.
      bad[7 + random(bytes.length - 9)]! ^= 1 << random(8);
      const crc = crc16(bad, 0, bad.length - 2);
      bad.set([crc & 0xff, crc >> 8], bad.length - 2);
      return [{ bytes: bad }];
    },
  });
  await rig.clock.advance(500);
  for (let i = 0; i < 100; i++) {
    armed = true;
    rig.line.reader(0).present(32, Uint8Array.of(7, 7, 7, i));
    await rig.clock.advance(6_000);
  }
  assert.ok(flips > 90, `${flips}`);
  assert.deepEqual(rig.events.filter((event) => event.includes("card")), []);
});

Deno.test("a reader that is silent when challenged is offline, and the log says where it stopped", async () => {
  await using rig = await openRig([{ address: 0 }, { address: 1 }], {
    keys,
    interfere: (bytes, from) => from === "a" && bytes[6] === 0x11 ? [] : [{ bytes }],
  });
  await rig.clock.advance(12_000);
  assert.deepEqual(rig.events, ["1: online 1.4.2", "0: offline no-reply"]);
  assert.ok(rig.logs.some((line) => line.includes("silent in the secure channel's handshake")));
});

Deno.test("a key from a file may come later, and no message shows a key", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const keyFile = `${folder}/reader.key`;
    await using rig = await openRig([SECURE], { driver: { keyFile } });
    await rig.clock.advance(2_000);
    assert.deepEqual(rig.events, ["0: offline protocol"]);
    assert.ok(rig.logs.some((line) => line.includes("keyFile")));
    await Deno.writeTextFile(keyFile, `${KEY.toHex().slice(1)}\n`);
    await rig.clock.advance(12_000);
    await Deno.writeTextFile(keyFile, `${KEY.toHex()}\n`);
    await recovers(rig, 0);
    assert.ok(!rig.logs.join("").includes(KEY.toHex().slice(4, 20)));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  const secret = KEY.toHex().slice(3);
  const wrong = [secret, Number(`9${secret.replaceAll(/[a-f]/g, "")}`), SCBK_D.toHex()];
  for (const key of wrong) {
    assert.throws(
      () => parseOsdpOptions({ address: 0, key }),
      (cause: { issues: { message: string; received: string }[] }) =>
        cause.issues.every(({ message, received }) =>
          message.startsWith("expected") && !received.includes("04050") &&
          !received.includes("e+") && !received.includes("3031")
        ),
      String(key),
    );
  }
  assert.throws(() => parseOsdpOptions({ address: 0, key: KEY.toHex(), keyFile: "/k" }), /either/);
  assert.throws(() => parseOsdpOptions({ address: 0, keyFile: "k" }), /absolute/);
});
