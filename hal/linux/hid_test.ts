import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { join } from "node:path";
import type { HidSettings } from "../mod.ts";
import { VirtualClock } from "../sim/mod.ts";
import { EVIOCGRAB, grabInputs, inputNodesOf } from "./evdev.ts";
import { type HidLibrary, linuxHidHost, type ListedHid } from "./hid.ts";
import { listFolder, readAttribute } from "./sysfs.ts";

const never = new AbortController().signal;
const KEYBOARD: HidSettings = {
  vendorId: 0xffff,
  productId: 0x35,
  exclusive: false,
};

/** What `node-hid` hands out, without a device behind it. */
class FakeOpen extends EventEmitter {
  readonly path: string;
  readonly written: number[][] = [];
  closed = 0;
  constructor(path: string) {
    super();
    this.path = path;
  }
  write(bytes: number[]): Promise<number> {
    this.written.push(bytes);
    return Promise.resolve(bytes.length);
  }
  close(): Promise<void> {
    this.closed++;
    return Promise.resolve();
  }
}

function rig(listed: ListedHid[], refusal?: string) {
  const opened: FakeOpen[] = [];
  let loads = 0;
  const library: HidLibrary = {
    devices: () => Promise.resolve(listed),
    open: (path) => {
      if (refusal !== undefined) return Promise.reject(new Error(refusal));
      const open = new FakeOpen(path);
      opened.push(open);
      return Promise.resolve(open);
    },
  };
  const clock = new VirtualClock();
  const load = () => {
    loads++;
    return Promise.resolve(library);
  };
  return { clock, host: linuxHidHost(clock, { load }), opened, loads: () => loads };
}

const device = (over: Partial<ListedHid>): ListedHid => ({
  path: "/dev/hidraw0",
  vendorId: 0xffff,
  productId: 0x35,
  interface: 0,
  usagePage: 1,
  usage: 6,
  ...over,
});

Deno.test("devices are listed once, by their first collection, and loaded at the first question", async () => {
  const { host, loads } = rig([
    device({ serialNumber: " 42 ", manufacturer: "", product: "x".repeat(1_000) }),
    device({ usage: 2 }),
    device({ path: undefined }),
    device({ path: "/dev/hidraw1", usagePage: undefined, usage: undefined }),
  ]);
  assert.equal(loads(), 0);
  const list = await host.list(never);
  assert.deepEqual(list, [
    {
      path: "/dev/hidraw0",
      vendorId: 0xffff,
      productId: 0x35,
      serialNumber: "42",
      product: "x".repeat(248),
      interfaceNumber: 0,
      usagePage: 1,
      usage: 6,
    },
    {
      path: "/dev/hidraw1",
      vendorId: 0xffff,
      productId: 0x35,
      interfaceNumber: 0,
      usagePage: 0,
      usage: 0,
    },
  ]);
  await host.list(never);
  assert.equal(loads(), 1);
});

Deno.test("a device is chosen by all that was said of it, and each only once", async () => {
  const { host, opened } = rig([
    device({ path: "/dev/hidraw0", usage: 2 }),
    device({ path: "/dev/hidraw1", serialNumber: "A" }),
    device({ path: "/dev/hidraw2", serialNumber: "B", interface: 1 }),
  ]);
  const keyboard = { ...KEYBOARD, usagePage: 1, usage: 6 };
  const first = await host.open(keyboard, never);
  assert.equal(first.identity.path, "/dev/hidraw1");
  const second = await host.open({ ...KEYBOARD, interfaceNumber: 1 }, never);
  assert.equal(second.identity.serialNumber, "B");
  await assert.rejects(host.open(keyboard, never), { kind: "busy", message: /serialNumber/ });
  await first[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
  assert.equal(opened[0]!.closed, 1);
  await using again = await host.open({ ...KEYBOARD, serialNumber: "A" }, never);
  assert.equal(again.identity.path, "/dev/hidraw1");
  await assert.rejects(host.open({ ...KEYBOARD, productId: 7 }, never), {
    kind: "not-found",
    message: /ffff:0007 is not plugged in; what is: ffff:0035, ffff:0035/,
  });
});

Deno.test("reports come in order and stamped; aborting takes none along; a pulled device is disconnected", async () => {
  const { host, opened, clock } = rig([device({})]);
  await using open = await host.open(KEYBOARD, never);
  const stop = new AbortController();
  const given = open.read(stop.signal);
  stop.abort(new Error("enough"));
  await assert.rejects(given, { message: "enough" });
  const [handle] = opened;
  await clock.advance(3);
  handle!.emit("data", Uint8Array.of(1, 2));
  handle!.emit("data", Uint8Array.of());
  handle!.emit("data", Uint8Array.of(3));
  const first = await open.read(never);
  assert.deepEqual([...first.bytes, first.receivedMonotonicMs], [1, 2, 3]);
  const both = [open.read(never), open.read(never), open.read(never)];
  assert.deepEqual([...(await both[0]!).bytes], [3]);
  await assert.rejects(both[2]!, { kind: "busy" });
  handle!.emit("error", new Error("read error: No such device"));
  await assert.rejects(both[1]!, { kind: "disconnected", message: /unplugged/ });
  await assert.rejects(open.write(Uint8Array.of(0), never), { kind: "disconnected" });
});

Deno.test("reports that nobody reads are bounded, and their loss is told once", async () => {
  const { host, opened } = rig([device({})]);
  await using open = await host.open(KEYBOARD, never);
  for (let i = 0; i < 300; i++) opened[0]!.emit("data", Uint8Array.of(i & 0xff));
  await assert.rejects(open.read(never), { kind: "io", message: /44 reports were lost/ });
  assert.deepEqual([...(await open.read(never)).bytes], [44]);
});

Deno.test("what hidapi says becomes a kind and an advice", async () => {
  const kind = async (text: string) => {
    const { host } = rig([device({})], `cannot open device with path /dev/hidraw0: ${text}`);
    const fault = await host.open(KEYBOARD, never).catch((error) => error);
    // A refused one is not taken.
    const again = await host.open(KEYBOARD, never).catch((error) => error);
    assert.equal(again.kind, fault.kind);
    return fault.kind;
  };
  assert.equal(await kind("Permission denied"), "permission");
  assert.equal(await kind("No such file or directory"), "not-found");
  assert.equal(await kind("ioctl(GRDESCSIZE) error for '/dev/null'"), "io");
});

Deno.test("without the library every call says so, and nothing else fails", async () => {
  const load = () => Promise.reject(new Error("libusb-1.0.so.0: cannot open shared object file"));
  const host = linuxHidHost(new VirtualClock(), { load });
  await assert.rejects(host.list(never), /libusb/);
  await assert.rejects(host.open(KEYBOARD, never), /libusb/);
});

Deno.test("the real library loads, with the box's own permissions", async () => {
  const root = new URL("../..", import.meta.url).pathname;
  const program = `
    const { linuxHidHost, linuxClock } = await import(${JSON.stringify(root + "hal/linux/mod.ts")});
    const list = await linuxHidHost(linuxClock()).list(new AbortController().signal);
    console.log(Array.isArray(list));`;
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  const extra = "/etc/alpine-release";
  assert.match(
    await Deno.readTextFile(root + "gatehouse"),
    new RegExp(`box\\) read=.* ${extra}\\)`),
  );
  try {
    await Deno.writeTextFile(file, program);
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        "--config",
        root + "deno.json",
        "--permission-set=box",
        `--allow-read=${root},${file},${extra}`,
        file,
      ],
      cwd: root,
    }).output();
    const said = new TextDecoder().decode(stderr);
    const missing = /lib(?:usb|udev)\S*: cannot open shared object file/.exec(said)?.[0];
    if (missing !== undefined) return console.log(`skipped: node-hid on this machine: ${missing}`);
    assert.equal(new TextDecoder().decode(stdout).trim(), "true", said);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("the input nodes of a HID device are found in sysfs, and grabbing what is none is refused", async () => {
  const root = await Deno.makeTempDir();
  try {
    const device = join(root, "devices/0003:FFFF:0035.0001");
    await Deno.mkdir(join(device, "input/input7/event3"), { recursive: true });
    await Deno.mkdir(join(device, "input/input7/capabilities"), { recursive: true });
    await Deno.mkdir(join(device, "input/input8/event11"), { recursive: true });
    await Deno.mkdir(join(device, "input/input8/mouse0"), { recursive: true });
    await Deno.mkdir(join(root, "class/hidraw/hidraw0"), { recursive: true });
    await Deno.symlink(device, join(root, "class/hidraw/hidraw0/device"));
    assert.deepEqual(inputNodesOf("hidraw0", root), ["event3", "event11"]);
    assert.deepEqual(inputNodesOf("hidraw1", root), [], "a raw device makes no input");
    assert.throws(() => grabInputs("hidraw0", root, root), { kind: "not-found" });
    await Deno.mkdir(join(root, "input"));
    for (const node of ["event3", "event11"]) {
      await Deno.writeTextFile(join(root, "input", node), "");
    }
    assert.throws(() => grabInputs("hidraw0", root, root), {
      kind: "invalid",
      message: /event3: it cannot be taken from the console \(ENOTTY\)/,
    });
    grabInputs("hidraw1", root, root)[Symbol.dispose]();

    await Deno.writeTextFile(join(root, "attribute"), "  41\n");
    assert.equal(readAttribute(join(root, "attribute")), "41");
    assert.throws(() => readAttribute(join(root, "none")), { kind: "not-found" });
    assert.throws(() => listFolder(join(root, "none")), { kind: "not-found" });
    assert.deepEqual(listFolder(root), ["attribute", "class", "devices", "input"]);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("EVIOCGRAB is what the C compiler makes of it", () => {
  // _IOW: 1 << 30, size 4 << 16, type 'E' << 8, number 0x90.
  assert.equal(EVIOCGRAB, ((1 << 30) | (4 << 16) | (0x45 << 8) | 0x90) >>> 0);
});
