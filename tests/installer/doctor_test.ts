/**
 * Faults planted for real, and the real `gatehouse doctor` to find them: readers on pseudo-terminals
 * behind UARTs that are set differently, a full file system, a port that another process holds, a
 * user without the group.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { ROOT, runProgram } from "../../demo/program.ts";
import { linuxClock } from "../../hal/linux/mod.ts";
import { type SimulatedReaderOptions, simulateOsdpReaders } from "../../hal/sim/osdp_reader/mod.ts";
import { loadOrMakeKey, saveDistrict } from "../../sync/identity_store.ts";
import { TEST_CA_PEM } from "../../sync/testing/mod.ts";
import { FakeMachine } from "./fake_machine.ts";

const clock = linuxClock();

interface Told {
  readonly check: string;
  readonly subject: string;
  readonly severity: string;
  readonly what: { readonly zh: string; readonly en: string };
  readonly advice?: { readonly zh: string; readonly en: string };
}

function findings(stdout: string): Told[] {
  return stdout.trim().split("\n").map((line) => JSON.parse(line));
}

/** The finding about `subject`, which must be `severity`, say what is wrong, and advise. */
function expectFinding(
  told: readonly Told[],
  subject: RegExp,
  severity: string,
  what: RegExp,
  advice: RegExp,
): void {
  const about = told.filter((one) => subject.test(one.subject) && one.severity === severity);
  const found = about.find((one) => what.test(one.what.en));
  assert.ok(found, `${subject} ${what}; told: ${JSON.stringify(told, null, 1)}`);
  assert.match(found.advice?.en ?? "", advice);
  assert.match(found.what.zh, /\p{Script=Han}/u);
  assert.match(found.advice?.zh ?? "", /\p{Script=Han}/u);
}

Deno.test("doctor names faults on lines, ports and the machine, each with its advice", async () => {
  await using stack = new AsyncDisposableStack();
  const machine = stack.use(new FakeMachine(clock));
  const stop = new AbortController();
  stack.defer(() => stop.abort());
  const reader = (name: string, baudRate: number, options: SimulatedReaderOptions) => {
    const plugged = machine.plugSerial(name, { baudRate });
    simulateOsdpReaders(plugged.port, clock, [options], stop.signal);
    return plugged.path;
  };
  const good = reader("ttyUSB0", 9_600, { address: 0 });
  const fast = reader("ttyUSB1", 38_400, { address: 0 });
  const moved = reader("ttyUSB2", 9_600, { address: 5 });
  const key = new Uint8Array(16).fill(7);
  const locked = reader("ttyUSB3", 9_600, { address: 0, key, secureOnly: true });
  const other = reader("ttyUSB4", 9_600, { address: 0, key });
  // Exchanged wires: the reader understands nothing, and what somebody else says on the line comes
  // upside down.
  const swapped = machine.plugSerial("ttyUSB5", { baudRate: 9_600, inverted: true });
  const talking = setInterval(() => {
    const poll = Uint8Array.of(0xff, 0x53, 0x01, 0x08, 0x00, 0x04, 0x60, 0x5a, 0x3d);
    swapped.port.write(poll, stop.signal).catch(() => {});
  }, 100);
  stack.defer(() => clearInterval(talking));
  const dead = machine.plugSerial("ttyUSB6", { baudRate: 9_600 });
  simulateOsdpReaders(dead.port, clock, [], stop.signal);
  simulateOsdpReaders(swapped.port, clock, [{ address: 0 }], stop.signal);
  const held = machine.plugSerial("ttyUSB7", { baudRate: 9_600 });
  const holder = new Deno.Command("sh", {
    args: ["-c", `exec 3<>"$0"; exec sleep 120`, held.pair.path],
  }).spawn();
  stack.defer(async () => {
    holder.kill();
    await holder.status;
  });
  machine.write("sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n");
  machine.write("sys/block/mmcblk0/device/life_time", "0x0a 0x0b\n");
  machine.write("proc/meminfo", "MemTotal:         948304 kB\nMemAvailable:      61200 kB\n");

  const data = join(machine.root, "data");
  await saveDistrict(data, await loadOrMakeKey(data), {
    // Port 9 (discard) of this host: nobody listens.
    url: "https://127.0.0.1:9",
    districtName: "第一区",
    districtKey: new Uint8Array(32),
    caPem: TEST_CA_PEM,
  });
  const config = join(machine.root, "box.yaml");
  const line = (id: string, path: string, more = "") =>
    `  - { id: ${id}, kind: serial, path: ${path}, baudRate: 9600 }${more}`;
  const on = (bus: string, more = "") =>
    `  - { id: r-${bus}, driver: osdp, bus: ${bus}, address: 0, door: main${more} }`;
  await Deno.writeTextFile(
    config,
    `
box: { name: gate, timezone: Asia/Shanghai }
api: { listen: "127.0.0.1:1" }
buses:
${line("good", good)}
${line("fast", fast)}
${line("moved", moved)}
${line("locked", locked)}
${line("other", other)}
${line("swapped", swapped.path)}
${line("dead", dead.path)}
${line("held", held.path)}
${line("gone", "/dev/serial/by-id/usb-Gone-if00-port0")}
readers:
${on("good")}
${on("fast")}
${on("moved")}
${on("locked")}
${on("other", ", key: '00112233445566778899aabbccddeeff'")}
${on("swapped")}
${on("dead")}
${on("held")}
${on("gone")}
  - { id: usb, driver: hid-keyboard, vendorId: 0x08ff, productId: 0x0009, door: main }
outputs: [{ id: lock, driver: simulated }]
inputs: [{ id: button, driver: gpio, chip: gpiochip9, line: 4 }]
doors: [{ id: main, lock: lock, kind: strike, requestToExit: button }]
`,
  );
  const { code, stdout, stderr } = await runProgram([
    ...["doctor", "--root", machine.root, "--config", config, "--data", data],
    ...["--seconds", "1", "--json"],
  ]);
  assert.equal(code, 1, stderr);
  const told = findings(stdout);
  const fault = (subject: RegExp, what: RegExp, advice: RegExp) =>
    expectFinding(told, subject, "fault", what, advice);

  assert.ok(told.some((one) => /^r-good/.test(one.subject) && one.severity === "ok"), stdout);
  fault(/^r-fast/, /talks at 38400, box\.yaml says 9600/, /write baudRate: 38400 at bus fast/);
  fault(/^r-moved/, /there is a reader at 5/, /write address: 5/);
  fault(/^r-locked/, /wants a key/, /keyFile: PATH/);
  fault(/^r-other/, /key mismatch/, /gatehouse osdp key/);
  fault(/^r-swapped/, /A and B may be exchanged/, /swap A \(D−\) and B \(D\+\)/);
  fault(/^r-dead/, /no reply at address 0 and 9600 baud/, /12 V/);
  fault(/^held/, new RegExp(`sleep \\(process ${holder.pid}\\)`), new RegExp(`kill ${holder.pid}`));
  fault(/^gone/, /usb-Gone\S* is not there/, /there are: .*usb-Simulated_ttyUSB0/);
  fault(/^usb/, /USB 08ff:0009 is not there/, /cable and power/);
  fault(/^button/, /there is no gpiochip9/, /gpiodetect/);
  fault(/^power$/, /voltage is too low, and the processor/, /5\.1 V/);
  fault(/^mmcblk0$/, /110 %/, /replace it/);
  fault(/127\.0\.0\.1:9/, /cannot be reached/, /TCP 443/);
  expectFinding(told, /^rtc$/, "warning", /no battery clock/, /add an RTC/);
  expectFinding(told, /^memory$/, "warning", /59 MiB/, /stop other programs/);
});

Deno.test("doctor finds a full disk, an end of inodes, and a read-only folder", async (t) => {
  const dir = await Deno.makeTempDir({ prefix: "gatehouse-disk-" });
  const mount = async (...args: string[]) =>
    (await new Deno.Command("mount", { args, stdout: "null", stderr: "null" }).output()).success;
  const doctor = async () => {
    const { stdout } = await runProgram(["doctor", "--data", dir, "--json"]);
    return findings(stdout);
  };
  try {
    if (!await mount("-t", "tmpfs", "-o", "size=1m,nr_inodes=64", "tmpfs", dir)) {
      console.log("skipped: no file system can be mounted here; needs root");
      return;
    }
    try {
      await t.step("full", async () => {
        await Deno.writeFile(join(dir, "big"), new Uint8Array(2 << 20)).catch(() => {});
        expectFinding(await doctor(), /gatehouse-disk/, "fault", /disk is full/, /du -xh/);
        await Deno.remove(join(dir, "big"));
      });
      await t.step("inodes", async () => {
        for (let i = 0; i < 64; i++) {
          await Deno.writeFile(join(dir, `${i}`), new Uint8Array()).catch(() => {});
        }
        expectFinding(await doctor(), /gatehouse-disk/, "fault", /inodes are used up/, /du -xh/);
      });
      await t.step("read-only", async () => {
        for (let i = 0; i < 64; i++) await Deno.remove(join(dir, `${i}`)).catch(() => {});
        assert.ok(await mount("-o", "remount,ro", dir));
        const told = await doctor();
        expectFinding(told, /gatehouse-disk/, "fault", /read-only/, /remount,rw/);
      });
    } finally {
      await new Deno.Command("umount", { args: [dir] }).output();
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a user without the group of a port is told its name and the command", async () => {
  if (Deno.uid() !== 0) {
    console.log("skipped: needs root, to become a user without rights");
    return;
  }
  await using machine = new FakeMachine(clock);
  const { pair } = machine.plugSerial("ttyUSB0", { baudRate: 9_600 });
  machine.write("etc/group", "root:x:0:\ndialout:x:20:\nnogroup:x:65534:\n");
  machine.write("etc/passwd", "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n");
  await Deno.chown(pair.path, 0, 20);
  await Deno.chmod(pair.path, 0o660);
  await Deno.chmod(machine.root, 0o755);
  const config = join(machine.root, "box.yaml");
  await Deno.writeTextFile(
    config,
    `
box: { name: gate, timezone: Asia/Shanghai }
api: { listen: "127.0.0.1:1" }
buses: [{ id: bus, kind: serial, path: /dev/serial/by-id/usb-Simulated_ttyUSB0-if00-port0 }]
readers: [{ id: in, driver: osdp, bus: bus, address: 0, door: main }]
outputs: [{ id: lock, driver: simulated }]
doors: [{ id: main, lock: lock, kind: strike }]
`,
  );
  const run = async (groups: string) => {
    const output = await new Deno.Command("setpriv", {
      args: [
        ...["--reuid=65534", "--regid=65534", groups, `${ROOT}/gatehouse`, "doctor", "--json"],
        ...["--root", machine.root, "--config", config, "--data", "/tmp"],
      ],
      env: { HOME: "/tmp" },
    }).output();
    const text = new TextDecoder();
    return { stdout: text.decode(output.stdout), stderr: text.decode(output.stderr) };
  };
  const without = await run("--clear-groups");
  assert.notEqual(without.stdout, "", without.stderr);
  expectFinding(
    findings(without.stdout),
    /^bus/,
    "fault",
    /user nobody may not open it: it belongs to group dialout/,
    /sudo usermod -aG dialout nobody/,
  );
  const within = await run("--groups=20");
  assert.ok(!/may not open/.test(within.stdout), within.stdout);
});
