import assert from "node:assert/strict";
import * as v from "valibot";
import { defineDriver } from "../../drivers/contract.ts";
import { ConfigError, parseBoxConfig } from "./parse.ts";

const unused = () => Promise.reject(new Error("not opened here"));
const AddressSchema = v.strictObject({
  address: v.pipe(v.number(), v.maxValue(126, "expected 0 to 126")),
});
const osdp = defineDriver({
  id: "osdp",
  kind: "card-reader",
  bus: "serial",
  reference: "none",
  serialDefaults: { baudRate: 9600 },
  devicesMax: 127,
  optionsSchema: AddressSchema,
  parseOptions: (raw: unknown) => v.parse(AddressSchema, raw),
  open: unused,
});
const LineSchema = v.strictObject({
  chip: v.string(),
  line: v.number(),
  safe: v.optional(v.picklist(["released", "energised"]), "released"),
});
const gpioOutput = defineDriver({
  id: "gpio",
  kind: "output",
  bus: "gpio",
  reference: "none",
  optionsSchema: LineSchema,
  parseOptions: (raw: unknown) => v.parse(LineSchema, raw),
  open: unused,
});
const gpioInput = defineDriver({
  id: "gpio",
  kind: "input",
  bus: "gpio",
  reference: "none",
  optionsSchema: LineSchema,
  parseOptions: (raw: unknown) => v.parse(LineSchema, raw),
  open: unused,
});
const TwoLinesSchema = v.strictObject({ data0: v.number(), data1: v.number() });
const wiegand = defineDriver({
  id: "wiegand",
  kind: "card-reader",
  bus: "gpio",
  reference: "none",
  optionsSchema: TwoLinesSchema,
  parseOptions: (raw: unknown) => v.parse(TwoLinesSchema, raw),
  open: unused,
});
const drivers = [osdp, wiegand, gpioOutput, gpioInput];

const good = `
box: { name: east-gate, timezone: Asia/Shanghai }
buses:
  - { id: gate-bus, kind: serial, path: /dev/serial/by-id/usb-1, baudRate: 9600 }
readers:
  - { id: in, driver: osdp, bus: gate-bus, address: 0, door: main }
outputs:
  - { id: lock, driver: gpio, chip: gpiochip0, line: 17, safe: released }
  - { id: siren, driver: osdp, reader: in, index: 1 }
  - { id: lamp, driver: simulated }
inputs:
  - { id: contact, driver: osdp, reader: in, index: 0 }
doors:
  - { id: main, lock: lock, kind: strike, holdMs: 5000, contact: contact }
release:
  - { input: contact }
`;

Deno.test("a whole configuration, its defaults and its drivers' options", () => {
  const config = parseBoxConfig(good, "box.yaml", drivers);
  assert.equal(config.api.listen, "127.0.0.1:9180");
  assert.deepEqual(config.readers[0]!.options, { address: 0 });
  assert.equal(config.readers[0]!.driver, osdp);
  assert.deepEqual(
    config.outputs.map((o) => o.on === "reader" ? `${o.reader}.${o.index}` : o.options),
    [
      { chip: "gpiochip0", line: 17, safe: "released" },
      "in.1",
      { chip: "simulated-outputs", line: 2, safe: "released" },
    ],
  );
  const [door] = config.doors;
  assert.ok(door?.kind === "strike");
  assert.equal(door.heldOpenMs, 30_000);
});

/** The faults of `good` after `from` was replaced by `to`, as `line field: message`. */
function faultsOf(from: string, to: string): string[] {
  assert.ok(good.includes(from), from);
  try {
    parseBoxConfig(good.replace(from, to), "box.yaml", drivers);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.faults.map((fault) => `${fault.line} ${fault.field}: ${fault.message}`);
  }
  return assert.fail(`${to} was taken`);
}

Deno.test("each fault names its line, its field and what is expected", () => {
  const cases: [string, string, RegExp][] = [
    ["address: 0", "address: 200", /^6 readers\.0\.address: expected 0 to 126, got 200$/],
    ["address: 0, ", "", /^6 readers\.0\.address: this field is missing/],
    ["address: 0", "adress: 0", /^6 readers\.0\.adress: this field is not known/m],
    [
      "baudRate: 9600",
      "baudRate: fast",
      /^4 buses\.0\.baudRate: expected a baud rate, got "fast"$/,
    ],
    ["baudRate: 9600", "baud: 9600", /^4 buses\.0\.baud: this field is not known/],
    ["kind: serial", "kind: can", /^4 buses\.0\.kind: expected a bus of kind serial or simulated/],
    ["bus: gate-bus, ", "", /^6 readers\.0\.bus: this field is missing; it names the serial line/],
    [
      "bus: gate-bus",
      "bus: yard",
      /^6 readers\.0\.bus: no bus is called "yard"; there are: gate-bus$/,
    ],
    ["door: main", "door: side", /^6 readers\.0\.door: no door is called "side"; there are: main$/],
    [
      "driver: osdp, bus",
      "driver: ospd, bus",
      /^6 readers\.0\.driver: no driver is called "ospd"; there are: osdp, wiegand$/m,
    ],
    ["lock: lock", "lock: bolt", /^14 doors\.0\.lock: no output is called "bolt"/],
    ["contact: contact", "contact: lock", /^14 doors\.0\.contact: no input is called "lock"/],
    [
      "reader: in, index: 1",
      "reader: out, index: 1",
      /^9 outputs\.1\.reader: no reader is called "out"; there are: in$/,
    ],
    ["reader: in, index: 1", "reader: in, index: 99", /^9 outputs\.1\.index: /],
    [
      "driver: gpio, chip",
      "driver: relay, chip",
      /^8 outputs\.0\.driver: no driver is called "relay"; there are: gpio, simulated$/,
    ],
    ["holdMs: 5000", "holdMs: 5", /^14 doors\.0\.holdMs: expected 100 to 600000 ms, got 5$/],
    ["holdMs: 5000", "holdSeconds: 5", /^14 doors\.0\.holdSeconds: this field is not known/],
    [
      "kind: strike",
      "kind: gate",
      /^14 doors\.0\.kind: expected strike, magnet, turnstile or barrier/,
    ],
    ["Asia/Shanghai", "Asia/Shangai", /^2 box\.timezone: expected an IANA time zone/],
    ["name: east-gate", "name: 东门", /^2 box\.name: expected an id/],
    ["id: lamp", "id: lock", /^10 outputs\.2\.id: lock is the id of outputs\.0 too/],
    [
      "- { input: contact }",
      "- { input: fire }",
      /^16 release\.0\.input: no input is called "fire"/,
    ],
    ["doors:", "dors:", /^13 dors: this field is not known/m],
    ["box: {", "box: [", /YAML: /],
    ["box: { name: east-gate, timezone: Asia/Shanghai }", "box: 3", /^2 box: /],
  ];
  for (const [from, to, want] of cases) {
    const faults = faultsOf(from, to);
    assert.match(faults.join("\n"), want, `${from} → ${to}: ${faults.join(" | ")}`);
  }
});

Deno.test("a reader on GPIO lines has no bus, and no relays or contacts", () => {
  const second = (fields: string) =>
    good.replace("outputs:", `  - { id: out, driver: wiegand, door: main, ${fields} }\noutputs:`);
  const config = parseBoxConfig(second("data0: 1, data1: 2"), "box.yaml", drivers);
  assert.deepEqual(config.readers.map((reader) => reader.on), ["bus", "own"]);
  assert.throws(
    () => parseBoxConfig(second("bus: gate-bus, data0: 1, data1: 2"), "box.yaml", drivers),
    /readers\.1\.bus: a wiegand reader is on no bus; remove it/,
  );
  const point = second("data0: 1, data1: 2").replace(
    "driver: osdp, reader: in, index: 1",
    "driver: wiegand, reader: out, index: 1",
  );
  assert.throws(
    () => parseBoxConfig(point, "box.yaml", drivers),
    /outputs\.1\.reader: a wiegand reader has no outputs of its own/,
  );
});

Deno.test("all faults are told at once, in the order of the file", () => {
  const text = good.replace("holdMs: 5000", "holdMs: 1").replace("address: 0", "address: 300")
    .replace("bus: gate-bus", "bus: yard");
  assert.throws(() => parseBoxConfig(text, "gate/box.yaml", drivers), (error: ConfigError) => {
    // What the shape alone shows comes first; the rest needs a shape to look at.
    assert.match(error.message, /^gate\/box\.yaml:14:\d+: doors\.0\.holdMs: /m);
    return true;
  });
  const later = good.replace("address: 0", "address: 300").replace("bus: gate-bus", "bus: yard")
    .replace("lock: lock", "lock: bolt");
  assert.throws(() => parseBoxConfig(later, "box.yaml", drivers), (error: ConfigError) => {
    assert.deepEqual(error.faults.map((f) => f.field), [
      "readers.0.bus",
      "readers.0.address",
      "doors.0.lock",
    ]);
    return true;
  });
});

Deno.test("two readers cannot share an address, nor two doors a lock", () => {
  const second = good.replace(
    "outputs:",
    "  - { id: out, driver: osdp, bus: gate-bus, address: 0, door: main }\noutputs:",
  );
  assert.throws(() => parseBoxConfig(second, "box.yaml", drivers), /reader in has this address/);
  const door = good.replace("release:", "  - { id: side, lock: lock, kind: magnet }\nrelease:");
  assert.throws(
    () => parseBoxConfig(door, "box.yaml", drivers),
    /lock is the lock of door main too/,
  );
});

Deno.test("hostile YAML ends in a configuration error, not in a hang or a crash", () => {
  const bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" +
    Array.from({ length: 12 }, (_, i) => {
      const [from, to] = [String.fromCharCode(97 + i), String.fromCharCode(98 + i)];
      return `${to}: &${to} [${Array(9).fill(`*${from}`).join(",")}]`;
    }).join("\n");
  for (
    const text of [
      "",
      "[]",
      "null",
      "\0",
      "- ".repeat(5000),
      "{".repeat(2000),
      "x".repeat(300_000),
      "&a [*a]",
      bomb,
      "box: !!js/function 'x'",
      "box: {__proto__: {name: x}}",
    ]
  ) {
    assert.throws(() => parseBoxConfig(text, "box.yaml", drivers), (error) => {
      assert.ok(error instanceof ConfigError, `${text.slice(0, 30)}: ${error}`);
      return true;
    });
  }
});

Deno.test("guard, watchdog and direction control: defaults, and each fault by name", () => {
  const plain = parseBoxConfig(good, "box.yaml", drivers);
  assert.deepEqual([plain.guard, plain.watchdog], [{ heartbeatMs: 2_000 }, undefined]);
  const more = `${good}guard: { heartbeatMs: 500 }\nwatchdog: { path: /dev/watchdog0 }\n`;
  const { guard, watchdog } = parseBoxConfig(more, "box.yaml", drivers);
  assert.deepEqual(guard, { heartbeatMs: 500 });
  assert.deepEqual(watchdog, { path: "/dev/watchdog0", timeoutMs: 15_000 });
  const bad: [string, RegExp][] = [
    [`${good}guard: { heartbeatMs: 10 }`, /guard\.heartbeatMs: expected 200 to 60000 ms/],
    [`${good}watchdog: { path: /dev/sda }`, /watchdog\.path: expected a watchdog such as/],
    [
      `${good}watchdog: { path: /dev/watchdog, timeoutMs: 60 }`,
      /watchdog\.timeoutMs: expected 5000/,
    ],
    [`${good}watchdog: { timeoutMs: 60000 }`, /watchdog\.path/],
    [
      good.replace("kind: serial,", "kind: serial, rs485: { delayAfterSendMs: 101 },"),
      /buses\.0\.rs485\.delayAfterSendMs: expected 0 to 100 ms/,
    ],
  ];
  for (const [text, message] of bad) {
    assert.notEqual(text, good);
    assert.throws(() => parseBoxConfig(text, "box.yaml", drivers), { message });
  }
});
