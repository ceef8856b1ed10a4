import assert from "node:assert/strict";
import type { Clock, GpioHost, GpioLine } from "../../../hal/mod.ts";
import { ABSENT, VirtualClock, VirtualGpio } from "../../../hal/sim/mod.ts";
import type { ReaderEvent } from "../../contract.ts";
import { readFrame, wiegand, type WiegandPulse } from "./mod.ts";

/** H10301: facility 12, card 3456. Even parity over the first 13 bits, odd over the last 13. */
const H10301 = "00000110000001101100000001";

const pulsesOf = (bits: string, spacingMs = 2): WiegandPulse[] =>
  Array.from(bits, (bit, index) => ({ bit: bit === "1" ? 1 : 0, atMs: index * spacingMs }));
const frame = (bits: string, parity: "check" | "ignore" = "check", lengths?: readonly number[]) =>
  readFrame(pulsesOf(bits), { parity, bits: lengths });

Deno.test("26 bits with parity: the number as read, first bit first", () => {
  // 0 00001100 0000110110000000 1 has facility 12 and card 3456 between its parity bits.
  assert.equal(parseInt(H10301.slice(1, 9), 2), 12);
  assert.equal(parseInt(H10301.slice(9, 25), 2), 3456);
  assert.deepEqual(frame(H10301), {
    kind: "card",
    bits: 26,
    data: Uint8Array.of(0b00000110, 0b00000110, 0b11000000, 0b01000000),
  });
});

Deno.test("one wrong bit of 26, 34 or 37 is refused; exchanged wires are told apart", () => {
  const complement = (bits: string) => bits.replaceAll(/[01]/g, (bit) => bit === "0" ? "1" : "0");
  const good34 = "1" + "1".padEnd(16, "0") + "0".repeat(16) + "1";
  const good37 = "1" + "1".padEnd(17, "0") + "0" + "0".repeat(17) + "1";
  for (const good of [H10301, good34, good37]) {
    assert.equal(frame(good).kind, "card", good);
    for (let bit = 0; bit < good.length; bit++) {
      const wrong = good.slice(0, bit) + (good[bit] === "0" ? "1" : "0") + good.slice(bit + 1);
      const read = frame(wrong);
      // The middle bit of 37 is in both groups: its flip breaks both, as exchanged wires do.
      const both = good.length === 37 && bit === 18;
      assert.deepEqual(
        read.kind === "refused" && read.why,
        both ? "swapped" : "parity",
        `${good.length} bits, bit ${bit}`,
      );
      assert.equal(frame(wrong, "ignore").kind, "card", "parity can be ignored");
    }
    const swapped = frame(complement(good));
    assert.equal(swapped.kind === "refused" && swapped.why, "swapped");
  }
});

Deno.test("any length from 16 to 128 bits is a card; the rest is not", () => {
  for (let bits = 1; bits <= 140; bits++) {
    if ([4, 8, 26, 34, 37].includes(bits)) continue;
    const read = frame("1".repeat(bits));
    if (bits < 16 || bits > 128) assert.equal(read.kind, "refused", `${bits} bits`);
    else assert.ok(read.kind === "card" && read.bits === bits, `${bits} bits`);
  }
});

Deno.test("of a reader whose lengths are named, a card that fell in two is none, nor a key", () => {
  const whole = "1".repeat(32);
  assert.equal(frame(whole, "check", [26, 32]).kind, "card");
  for (let at = 1; at < whole.length; at++) {
    for (const part of [whole.slice(0, at), whole.slice(at)]) {
      // A part of 26 ones has no parity; whatever else it is, it is not of a length that was named.
      const read = frame(part, "check", [26, 32]);
      assert.deepEqual(read, {
        kind: "refused",
        why: part.length === 26 ? "parity" : "unlisted",
        pulses: part.length,
      });
    }
  }
  assert.equal(frame("0101", "check", [26]).kind, "refused");
  assert.equal(frame("0101", "check", [26, 4]).kind, "key");
});

Deno.test("keys of 4 and of 8 bits", () => {
  const keys = Array.from({ length: 12 }, (_, code) => {
    const low = code.toString(2).padStart(4, "0");
    const high = (~code & 0xf).toString(2).padStart(4, "0");
    return [frame(low), frame(high + low)];
  });
  for (const [index, key] of [..."0123456789*#"].entries()) {
    assert.deepEqual(keys[index], [{ kind: "key", key }, { kind: "key", key }]);
  }
  assert.equal(frame("1111").kind, "refused");
  assert.equal(frame("00000001").kind, "refused", "without its complement");
});

Deno.test("pulses closer than a reader sends them are noise", () => {
  const read = readFrame(pulsesOf(H10301, 0.05), { parity: "check" });
  assert.deepEqual(read, { kind: "refused", why: "glitch", pulses: 26 });
});

/** A box whose one thread can be held up: timers that are due meanwhile fire after it, then edges come. */
class Thread {
  readonly #late: (() => void)[] = [];
  #resumed: Promise<void> | undefined;
  #resume = () => {};

  clock(clock: VirtualClock): Clock {
    return {
      monotonicMs: () => clock.monotonicMs(),
      wallMs: () => clock.wallMs(),
      wallQuality: () => clock.wallQuality(),
      sleep: (ms, signal) => clock.sleep(ms, signal),
      schedule: (ms, callback) => {
        let wanted = true;
        const fire = () => {
          if (wanted) callback();
        };
        const cancel = clock.schedule(
          ms,
          () => this.#resumed === undefined ? fire() : this.#late.push(fire),
        );
        return () => {
          wanted = false;
          cancel();
        };
      },
    };
  }

  gpio(gpio: GpioHost): GpioHost {
    const edgesOf = (line: GpioLine) => this.#edgesOf(line);
    return {
      request: async (settings, signal) => {
        const line = await gpio.request(settings, signal);
        return Object.assign(Object.create(line) as GpioLine, {
          read: () => line.read(),
          write: (active: boolean) => line.write(active),
          edges: edgesOf(line),
          [Symbol.asyncDispose]: () => line[Symbol.asyncDispose](),
        });
      },
    };
  }

  holdUp(): void {
    this.#resumed = new Promise((resolve) => this.#resume = resolve);
  }

  goOn(): void {
    this.#resumed = undefined;
    for (const callback of this.#late.splice(0)) callback();
    this.#resume();
  }

  #edgesOf(line: GpioLine): GpioLine["edges"] {
    const resumed = () => this.#resumed;
    return async function* (signal) {
      for await (const edge of line.edges(signal)) {
        await resumed();
        yield edge;
      }
    };
  }
}

function rig() {
  const clock = new VirtualClock();
  const gpio = new VirtualGpio(clock);
  const thread = new Thread();
  const logged: string[] = [];
  const host = {
    ...ABSENT,
    clock: thread.clock(clock),
    gpio: thread.gpio(gpio),
    log: (level: string, text: string) => logged.push(`${level} ${text}`),
  };
  // Idle: the readers' open collectors let the lines be pulled up.
  for (const line of [14, 15]) gpio.setLevel("gpiochip0", line, true);
  const pulse = async (bits: string, spacingMs = 2) => {
    for (const bit of bits) {
      const line = bit === "0" ? 14 : 15;
      gpio.setLevel("gpiochip0", line, false);
      await clock.advance(0.05);
      gpio.setLevel("gpiochip0", line, true);
      await clock.advance(spacingMs - 0.05);
    }
  };
  const send = async (bits: string, spacingMs?: number) => {
    await pulse(bits, spacingMs);
    await clock.advance(25);
  };
  const open = async (options: object = {}) => {
    const parsed = wiegand.parseOptions({ chip: "gpiochip0", data0: 14, data1: 15, ...options });
    const reader = await wiegand.open(host, parsed, new AbortController().signal);
    const events: ReaderEvent[] = [];
    reader.onEvent((event) => events.push(event));
    await clock.advance(1);
    return { reader, events };
  };
  return { clock, gpio, thread, logged, pulse, send, open };
}

Deno.test("pulses on two lines become a card with the time of its last bit, and noise does not", async () => {
  const { clock, send, open, logged } = rig();
  const { reader, events } = await open();
  await using _ = reader;
  assert.equal(reader.online(), true);
  const startMs = clock.monotonicMs();
  await send(H10301);
  const card = events.find((event) => event.kind === "card");
  assert.ok(card?.kind === "card");
  assert.equal(card.bits, 26);
  assert.equal(Math.round(card.receivedMonotonicMs - startMs), 50);
  await send("101");
  await send("0101");
  assert.deepEqual(events.slice(-1).map((e) => e.kind === "keys" && e.keys), ["5"]);
  assert.equal(events.filter((event) => event.kind === "card").length, 1);
  assert.match(logged.join(), /no card; look for noise/);
  await send(H10301.replaceAll(/[01]/g, (bit) => bit === "0" ? "1" : "0"));
  assert.match(logged.join(), /D0 and D1 are exchanged/);
});

Deno.test("a reader whose lengths are named reads these, and says what to do about others", async () => {
  const { send, open, logged } = rig();
  const { reader, events } = await open({ bits: [26, 8] });
  await using _ = reader;
  await send("1".repeat(20));
  await send("0101");
  assert.match(logged.join(), /bits does not list; add it in box.yaml/);
  await send(H10301);
  await send("10100101");
  assert.deepEqual(events.map(({ kind }) => kind), ["card", "keys"]);
});

Deno.test("a card of which edges were lost is none, whatever is left of it; the next one is read", async () => {
  const { gpio, send, open, logged } = rig();
  const { reader, events } = await open({ parity: "ignore" });
  await using _ = reader;
  const bits = "0110100110010110011010011001011010010110";
  for (const edges of [1, 2, 7]) {
    gpio.loseEdges("gpiochip0", 15, edges);
    await send(bits);
    assert.deepEqual(events, [], `${edges} edges lost`);
  }
  assert.match(logged.join(), /edges of a card were lost/);
  await send(bits);
  assert.deepEqual(events.map((event) => event.kind === "card" && event.bits), [40]);
});

Deno.test("a box that is held up in the middle of a card, or over two, reads them all the same", async () => {
  const { clock, pulse, open, logged, thread } = rig();
  const { reader, events } = await open();
  await using _ = reader;
  const cards = () => events.filter((event) => event.kind === "card").map(({ bits }) => bits);
  for (const bitsBefore of [1, 13, 25]) {
    events.length = 0;
    await pulse(H10301.slice(0, bitsBefore));
    thread.holdUp();
    await pulse(H10301.slice(bitsBefore));
    await clock.advance(40);
    thread.goOn();
    await clock.advance(100);
    assert.deepEqual(cards(), [26], `${bitsBefore} bits before`);
  }
  events.length = 0;
  await pulse(H10301.slice(0, 13));
  thread.holdUp();
  await pulse(H10301.slice(13));
  await clock.advance(60);
  await pulse(H10301);
  thread.goOn();
  await clock.advance(100);
  assert.deepEqual([cards(), logged], [[26, 26], []]);
});

Deno.test("two cards in a row are two; a burst without end is bounded and then forgotten", async () => {
  const { send, open } = rig();
  const { reader, events } = await open();
  await using _ = reader;
  await send(H10301);
  await send("01".repeat(2_000));
  await send(H10301);
  assert.equal(events.filter((event) => event.kind === "card").length, 2);
});

Deno.test("random pulses never crash it, and a card comes through after", async () => {
  const { clock, gpio, send, open } = rig();
  const { reader, events } = await open();
  await using _ = reader;
  const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  console.log(`seed ${seed}`);
  let word = seed;
  const next = (n: number) =>
    Math.floor((word = (Math.imul(word, 1664525) + 1013904223) >>> 0) / 2 ** 32 * n);
  for (let round = 0; round < 5_000; round++) {
    gpio.setLevel("gpiochip0", 14 + next(2), next(2) === 1);
    await clock.advance(next(4) === 0 ? next(40) : next(10) / 10);
  }
  for (const line of [14, 15]) gpio.setLevel("gpiochip0", line, true);
  await clock.advance(100);
  events.length = 0;
  await send(H10301);
  assert.equal(events.length, 1);
});

Deno.test("LED and buzzer lines follow the feedback and go out by themselves", async () => {
  const { clock, gpio, open } = rig();
  const { reader } = await open({
    led: { chip: "gpiochip0", line: 20 },
    buzzer: { chip: "gpiochip0", line: 21, activeLow: true },
  });
  const levels = () => [gpio.level("gpiochip0", 20), gpio.level("gpiochip0", 21)];
  assert.deepEqual(levels(), [false, true]);
  reader.show("granted");
  assert.deepEqual(levels(), [true, false]);
  await clock.advance(200);
  assert.deepEqual(levels(), [true, true]);
  await clock.advance(2_000);
  assert.deepEqual(levels(), [false, true]);
  reader.show("free");
  reader.show("denied");
  assert.deepEqual(levels(), [true, false], "a refusal leaves the resting light alone");
  await clock.advance(1_000);
  assert.deepEqual(levels(), [true, true]);
  await reader[Symbol.asyncDispose]();
  assert.deepEqual(levels(), [false, true]);
});

Deno.test("a chip that vanishes is an offline reader, and it comes back", async () => {
  const { clock, gpio, logged, open } = rig();
  const { reader, events } = await open();
  gpio.unplug("gpiochip0");
  await clock.advance(10);
  assert.equal(reader.online(), false);
  assert.deepEqual(events.map((event) => event.kind), ["offline"]);
  assert.match(logged.join(), /a data line is lost/);
  await clock.advance(3_000);
  assert.equal(reader.online(), true);
  await reader[Symbol.asyncDispose]();
  await reader[Symbol.asyncDispose]();
});

Deno.test("options with faults are named", () => {
  const bad = (options: object, message: RegExp) =>
    assert.throws(
      () => wiegand.parseOptions({ chip: "gpiochip0", data0: 14, data1: 15, ...options }),
      { name: "ValiError", message },
    );
  bad({ data1: -1 }, /number of a line/);
  bad({ frameGapMs: 1 }, /expected 5 to 100 ms/);
  bad({ parity: "maybe" }, /expected check or ignore/);
  // No card and no key has 10 bits: a reader with that length alone would read nothing.
  for (const bits of [[], 26, ["26"], [10], [26.5], [26, 129]]) {
    bad({ bits }, /expected lengths of 16 to 128 bits, and 4 or 8 for keys/);
  }
  bad({ led: { chip: "gpiochip0" } }, /line/);
});
