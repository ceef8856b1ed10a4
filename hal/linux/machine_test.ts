import assert from "node:assert/strict";
import { join } from "node:path";
import { linuxClock, linuxMachine, openPtyPair } from "./mod.ts";

/** A folder that stands for `/`. */
function fakeRoot(files: Readonly<Record<string, string>>) {
  const root = Deno.makeTempDirSync();
  for (const [path, text] of Object.entries(files)) {
    Deno.mkdirSync(join(root, path, ".."), { recursive: true });
    Deno.writeTextFileSync(join(root, path), text);
  }
  return {
    root,
    machine: linuxMachine({ root }),
    [Symbol.dispose]: () => Deno.removeSync(root, { recursive: true }),
  };
}

Deno.test("what a Pi says of itself is read, and nothing where it says nothing", async () => {
  using pi = fakeRoot({
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0",
    "proc/meminfo":
      "MemTotal:        3884308 kB\nMemFree:          100 kB\nMemAvailable:    2048000 kB\n",
    "sys/class/rtc/rtc0/since_epoch": "1764115200\n",
    "sys/block/mmcblk0/device/life_time": "0x02 0x05\n",
    "sys/block/mmcblk0/device/pre_eol_info": "0x02\n",
    "sys/block/mmcblk1/size": "1\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "50000\n",
  });
  const { machine } = pi;
  assert.equal(await machine.model(), "Raspberry Pi 4 Model B Rev 1.5");
  assert.deepEqual(await machine.memory(), {
    totalBytes: 3_884_308 * 1_024,
    availableBytes: 2_048_000 * 1_024,
  });
  assert.deepEqual(await machine.clock(), {
    batteryClocks: ["rtc0"],
    batteryWallMs: 1_764_115_200_000,
  });
  assert.deepEqual(await machine.wear(), [
    { device: "mmcblk0", usedPercent: 50, endOfLife: true },
  ]);
  assert.deepEqual(await machine.power(), {
    underVoltageNow: false,
    underVoltageSinceBoot: true,
    throttledNow: false,
  });
  using bare = fakeRoot({ "proc/meminfo": "nonsense", "sys/class/rtc/rtc0/since_epoch": "x" });
  assert.equal(await bare.machine.memory(), undefined);
  assert.deepEqual(await bare.machine.clock(), {
    batteryClocks: ["rtc0"],
    batteryWallMs: undefined,
  });
  assert.equal(await bare.machine.power(), undefined);
  assert.deepEqual(await bare.machine.wear(), []);
});

Deno.test("who may use a device, and who has it", async () => {
  const pair = openPtyPair(linuxClock());
  const machine = linuxMachine();
  const holder = new Deno.Command("sh", {
    args: ["-c", `exec 3<>"$0"; echo held; exec sleep 60`, pair.path],
    stdout: "piped",
  }).spawn();
  const output = holder.stdout.getReader();
  try {
    await output.read();
    const access = await machine.access(pair.path);
    assert.equal(access.realPath, pair.path);
    assert.equal(access.usable, true);
    // sh becomes sleep just after it said so.
    assert.deepEqual(access.holders.map((one) => one.pid), [holder.pid]);
  } finally {
    await output.cancel();
    holder.kill();
    await holder.status;
    await pair.hangUp();
  }
  assert.deepEqual(await machine.access("/dev/gatehouse-none"), {
    path: "/dev/gatehouse-none",
    realPath: undefined,
    usable: false,
    group: undefined,
    groupMay: false,
    holders: [],
  });
});

Deno.test("a data folder that is not there yet is judged by where it will be, and left clean", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const facts = await linuxMachine().storage(join(dir, "a/b/c"));
    assert.equal(facts.existing, dir);
    assert.equal(facts.write, "ok");
    assert.ok(facts.totalBytes > 0 && facts.freeBytes <= facts.totalBytes);
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
