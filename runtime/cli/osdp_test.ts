import assert from "node:assert/strict";
import { crc16, HalError } from "../../hal/mod.ts";
import { rs485Line, type Rs485Station, VirtualClock } from "../../hal/sim/mod.ts";
import {
  type SimulatedOsdpReader,
  type SimulatedReaderOptions,
  simulateOsdpReaders,
} from "../../hal/sim/osdp_reader/mod.ts";
import { runOsdp } from "./osdp.ts";
import { UsageError } from "./usage.ts";

const KEY = Uint8Array.fromHex("000102030405060708090a0b0c0d0e0f");
const PORT = "/dev/ttyUSB0";

/** A person at a terminal, a port, and readers on its line. */
class Site implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly printed: string[] = [];
  readonly noted: string[] = [];
  readonly questions: string[] = [];
  readonly folder = Deno.makeTempDirSync({ prefix: "gatehouse-osdp-" });
  answer = true;
  busy = false;
  box: Rs485Station | undefined;
  readonly devices: readonly SimulatedOsdpReader[];
  readonly #line = rs485Line(this.clock);
  readonly #abort = new AbortController();

  constructor(...readers: (SimulatedReaderOptions & { readonly baudRate: number })[]) {
    this.devices = readers.map((options) => {
      const station = this.#line.join(options.baudRate);
      const { readers: [device] } = simulateOsdpReaders(
        station,
        this.clock,
        [options],
        this.#abort.signal,
        20,
      );
      device!.onMove((_address, baudRate) => station.setBaudRate(baudRate));
      return device!;
    });
  }

  path(name: string): string {
    return `${this.folder}/${name}`;
  }

  /** Runs a command to its end; returns its exit code. */
  async run(args: readonly string[], signal = this.#abort.signal): Promise<number> {
    let over = false;
    const running = runOsdp([...args], {
      clock: this.clock,
      serial: {
        open: ({ path, baudRate }) => {
          if (path !== PORT) return Promise.reject(new HalError("not-found", `${path}: not there`));
          if (this.busy) return Promise.reject(new HalError("busy", `${path}: a box runs on it`));
          this.box = this.#line.join(baudRate);
          return Promise.resolve(this.box);
        },
      },
      print: (line) => this.printed.push(line),
      note: (line) => this.noted.push(line),
      confirm: (question) => {
        this.questions.push(question);
        return this.answer;
      },
    }, signal).finally(() => over = true);
    running.catch(() => {});
    while (!over) await this.clock.advance(20);
    return await running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await Deno.remove(this.folder, { recursive: true });
  }
}

const at = (baudRate: number, address: number) => [
  "--port",
  PORT,
  "--baud-rate",
  String(baudRate),
  "--address",
  String(address),
];

Deno.test("discover names each reader and what to do about its key", async () => {
  await using site = new Site(
    { address: 1, baudRate: 38_400, installMode: true, serial: 0xc0ffee },
    { address: 2, baudRate: 38_400, key: KEY, secureOnly: true },
  );
  assert.equal(await site.run(["discover", "--port", PORT]), 0);
  assert.equal(site.printed.length, 2);
  assert.match(site.printed[0]!, /38400 baud, address 1: vendor 0a0017 .*serial 00c0ffee/);
  assert.match(site.printed[0]!, /osdp key --port \/dev\/ttyUSB0 --baud-rate 38400 --address 1/);
  assert.match(site.printed[1]!, /has a key of its own/);
  site.printed.length = 0;
  await site.run(["discover", "--port", PORT, "--baud-rate", "38400", "--json"]);
  await site.run(["discover", "--port", PORT, "--first"]);
  assert.equal(site.printed.length, 3, "--first ends at the first");
  const first = JSON.parse(site.printed[0]!);
  assert.equal(first.security, "default-key");
  assert.equal(await site.run(["discover", "--port", PORT, "--baud-rate", "9600"]), 1);
  assert.match(site.noted.at(-1)!, /no reader answered/);
});

Deno.test("key: a new key is on the disk before the reader has it, and the same file serves again", async () => {
  await using site = new Site({ address: 0, baudRate: 9_600, installMode: true });
  const file = site.path("in.key");
  const command = ["key", ...at(9_600, 0), "--new-key-file", file];
  let onDisk: string | undefined;
  site.devices[0]!.onCommand((code) => {
    if (code === 0x75) onDisk = Deno.readTextFileSync(file).trim();
  });
  site.answer = false;
  assert.equal(await site.run(command), 1);
  assert.match(site.questions[0]!, /whoever listens on the line learns the key/);
  assert.throws(() => Deno.statSync(file), Deno.errors.NotFound);
  site.answer = true;
  assert.equal(await site.run(command), 0);
  const key = Deno.readTextFileSync(file).trim();
  assert.match(key, /^[0-9a-f]{32}$/);
  assert.equal(onDisk, key);
  assert.equal(Deno.statSync(file).mode! & 0o777, 0o600);
  assert.equal(site.devices[0]!.key?.toHex(), key);
  assert.match(site.printed[0]!, /keyFile: /);
  const told = [...site.printed, ...site.noted, ...site.questions].join("\n");
  assert.ok(!told.includes(key.slice(4, 20)), "no message shows it");
  // Another one, under that; the old one must be given.
  const next = site.path("next.key");
  const change = ["key", ...at(9_600, 0), "--new-key-file", next, "--from", "current", "--yes"];
  assert.equal(await site.run(change), 1);
  assert.equal(await site.run([...change, "--key-file", file]), 0);
  assert.equal(site.devices[0]!.key?.toHex(), Deno.readTextFileSync(next).trim());
});

Deno.test("key: an installation ends in time, keeps the key and says so; a bad file is refused", async () => {
  await using site = new Site({ address: 0, baudRate: 9_600, key: KEY });
  const file = site.path("in.key");
  const command = ["key", ...at(9_600, 0), "--new-key-file", file, "--seconds", "10", "--yes"];
  const startMs = site.clock.monotonicMs();
  assert.equal(await site.run(command), 1);
  assert.ok(site.clock.monotonicMs() - startMs < 12_000);
  assert.match(site.noted.join("\n"), /not in installation mode[\s\S]*the key stays in/);
  const kept = Deno.readTextFileSync(file);
  assert.equal(await site.run(command), 1);
  assert.equal(Deno.readTextFileSync(file), kept, "the next attempt takes the same one");
  Deno.writeTextFileSync(file, "303132333435363738393a3b3c3d3e3f\n");
  assert.equal(await site.run(command), 1);
  assert.match(site.noted.at(-1)!, /everybody knows/);
});

Deno.test("comset, text: what the reader did, and what box.yaml needs", async () => {
  await using site = new Site({ address: 0, baudRate: 9_600, display: true });
  assert.equal(await site.run(["text", ...at(9_600, 0), "--text", "Hello"]), 0);
  const move = ["comset", ...at(9_600, 0), "--to-address", "5", "--to-baud-rate", "38400"];
  site.answer = false;
  assert.equal(await site.run(move), 1);
  assert.equal(site.devices[0]!.address, 0);
  site.answer = true;
  assert.equal(await site.run(move), 0);
  assert.match(site.printed.at(-1)!, /address: 5 .*baudRate: 38400/);
  assert.equal(await site.run(["text", ...at(38_400, 5), "--text", "Hello", "--json"]), 0);
  assert.equal(await site.run(["text", ...at(9_600, 0), "--text", "Hello"]), 1);
  assert.match(site.noted.at(-1)!, /does not answer/);
  await using fixed = new Site({ address: 0, baudRate: 9_600, switches: true });
  assert.equal(await fixed.run([...move, "--yes", "--json"]), 1);
  assert.deepEqual(JSON.parse(fixed.printed[0]!), { moved: false, address: 0, baudRate: 9_600 });
});

Deno.test("firmware goes on where it was after the command was stopped, and shows how far it is", async () => {
  await using site = new Site({
    address: 0,
    baudRate: 115_200,
    key: KEY,
    receiveBytes: 1_440,
    file: { resumes: true, rebootMs: 2_000 },
  });
  const image = crypto.getRandomValues(new Uint8Array(60_000));
  const crc = crc16(image, 0, image.length - 2);
  image.set([crc & 0xff, crc >> 8], image.length - 2);
  const file = site.path("reader.bin");
  Deno.writeFileSync(file, image);
  const keyFile = site.path("in.key");
  Deno.writeTextFileSync(keyFile, KEY.toHex());
  const command = [
    "firmware",
    ...at(115_200, 0),
    "--key-file",
    keyFile,
    "--file",
    file,
    "--data",
    site.folder,
    "--yes",
  ];
  const stop = new AbortController();
  const cancel = () => site.devices[0]!.fileOffsets.length > 40 && stop.abort(new Error("stopped"));
  site.devices[0]!.onCommand((code) => code === 0x7c && cancel());
  assert.equal(await site.run(command, stop.signal), 1);
  assert.ok(Deno.statSync(site.path("osdp-firmware.json")).isFile);
  assert.equal(await site.run([...command, "--json"]), 0);
  assert.ok(site.noted.some((line) => /going on at \d+ of 60000/.test(line)));
  assert.deepEqual(site.devices[0]!.files.map((one) => one.bytes), [image]);
  assert.equal(site.devices[0]!.fileOffsets.filter((offset) => offset === 0).length, 1);
  const last = JSON.parse(site.printed.at(-1)!);
  assert.equal(last.done, true);
  assert.equal(last.firmware, "1.5.0");
  assert.throws(() => Deno.statSync(site.path("osdp-firmware.json")), Deno.errors.NotFound);
});

Deno.test("a reader of box.yaml is taken from there; wrong command lines are refused", async () => {
  await using site = new Site({ address: 3, baudRate: 38_400, display: true });
  const config = site.path("box.yaml");
  Deno.writeTextFileSync(
    config,
    `box: { name: gate, timezone: Asia/Shanghai }
buses: [{ id: line, kind: serial, path: ${PORT}, baudRate: 38400 }]
readers: [{ id: in, driver: osdp, bus: line, address: 3, door: main }]
outputs: [{ id: lock, driver: osdp, reader: in, index: 0 }]
doors: [{ id: main, lock: lock, kind: strike }]
`,
  );
  const from = ["--config", config, "--reader", "in"];
  assert.equal(await site.run(["text", ...from, "--text", "Hello"]), 0, site.noted.join());
  site.busy = true;
  assert.equal(await site.run(["text", ...from, "--text", "Hello"]), 1);
  assert.match(site.noted.at(-1)!, /a box runs/);
  Deno.writeTextFileSync(config, "box: 3\n");
  assert.equal(await site.run(["text", ...from, "--text", "Hello"]), 3);
  for (
    const wrong of [
      [],
      ["dance"],
      ["text", "--port", PORT],
      ["text", ...from, "--port", PORT, "--text", "x"],
      ["text", "--config", config, "--text", "x"],
      ["comset", ...at(9_600, 0)],
      ["comset", ...at(9_600, 127), "--to-address", "1"],
      ["key", ...at(9_600, 0), "--new-key-file", "k", "--from", "somewhere"],
      ["key", ...at(9_600, 0), "--new-key-file", "k", "--json"],
      ["discover", "--port", PORT, "--text", "x"],
      ["firmware", ...at(9_600, 0)],
    ]
  ) {
    await assert.rejects(site.run(wrong), UsageError, wrong.join(" "));
  }
});
