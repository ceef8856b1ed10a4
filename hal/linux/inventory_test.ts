import assert from "node:assert/strict";
import type { FoundDevice } from "../mod.ts";
import { VirtualClock } from "../sim/mod.ts";
import { linuxClock, linuxInventory } from "./mod.ts";
import { libc } from "./libc.ts";
import { SOCKET_LAYOUT } from "./unix_socket.ts";
import { parseUevent, UeventSocket } from "./uevents.ts";

const never = () => new AbortController().signal;

/** A folder with the parts of `/sys` and `/dev` that matter, laid out as a kernel 6.12 does. */
class Machine implements Disposable {
  readonly root = Deno.makeTempDirSync();

  write(path: string, text: string): void {
    const full = `${this.root}/${path}`;
    Deno.mkdirSync(full.slice(0, full.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(full, `${text}\n`);
  }

  link(from: string, to: string): void {
    const full = `${this.root}/${from}`;
    Deno.mkdirSync(full.slice(0, full.lastIndexOf("/")), { recursive: true });
    Deno.symlinkSync(`${this.root}/${to}`, full);
  }

  remove(...paths: readonly string[]): void {
    for (const path of paths) Deno.removeSync(`${this.root}/${path}`, { recursive: true });
  }

  usbDevice(socket: string, fields: Readonly<Record<string, string>>): string {
    const at = `sys/devices/pci0000:00/0000:00:14.0/usb1/${socket}`;
    for (const [key, value] of Object.entries(fields)) this.write(`${at}/${key}`, value);
    return at;
  }

  usbSerial(socket: string, name: string, fields: Readonly<Record<string, string>>): void {
    const at = `${this.usbDevice(socket, fields)}/${socket}:1.0`;
    this.write(`${at}/bInterfaceNumber`, "00");
    this.write(`${at}/${name}/tty/${name}/dev`, "188:0");
    this.link(`${at}/${name}/tty/${name}/device`, `${at}/${name}`);
    this.link(`sys/class/tty/${name}`, `${at}/${name}/tty/${name}`);
    this.write(`dev/${name}`, "");
  }

  unplugSerial(socket: string, name: string): void {
    this.remove(
      `sys/class/tty/${name}`,
      `dev/${name}`,
      `sys/devices/pci0000:00/0000:00:14.0/usb1/${socket}`,
    );
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.root, { recursive: true });
  }
}

const FTDI = {
  idVendor: "0403",
  idProduct: "6001",
  serial: "A50285BI",
  manufacturer: "FTDI",
  product: "FT232R USB UART",
};

async function list(machine: Machine) {
  const inventory = linuxInventory({ clock: new VirtualClock(), root: machine.root });
  return await inventory.list(never());
}

Deno.test("an adapter is named by udev's link, or by its ids, serial number and interface", async () => {
  using machine = new Machine();
  machine.usbSerial("1-1", "ttyUSB0", FTDI);
  const usb = { vendorId: 0x0403, productId: 0x6001, serial: "A50285BI" };
  const device = {
    kind: "serial",
    path: "/dev/ttyUSB0",
    stable: "usb:0403:6001:A50285BI:if00",
    description: "FTDI FT232R USB UART",
    usb,
  };
  assert.deepEqual(await list(machine), [device]);
  const link = "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0";
  machine.link(link.slice(1), "dev/ttyUSB0");
  assert.deepEqual(await list(machine), [{ ...device, stable: link }]);
});

Deno.test("without a serial number the socket names an adapter; one number for two names neither", async () => {
  using machine = new Machine();
  machine.usbSerial("1-1.2", "ttyUSB0", { idVendor: "1a86", idProduct: "7523", product: "CH340" });
  machine.usbSerial("1-1.3", "ttyUSB1", { ...FTDI, serial: "0001" });
  machine.usbSerial("1-1.4", "ttyUSB2", { ...FTDI, serial: "0001" });
  assert.deepEqual((await list(machine)).map((device) => device.stable), [
    "usb:1a86:7523@1-1.2:if00",
    "/dev/ttyUSB1",
    "/dev/ttyUSB2",
  ]);
});

Deno.test("ports that were not built in, consoles and terminals are left out", async () => {
  using machine = new Machine();
  for (const [name, type] of [["ttyS0", "4"], ["ttyS1", "0"]] as const) {
    machine.write(`sys/devices/platform/serial8250/tty/${name}/type`, type);
    machine.link(
      `sys/devices/platform/serial8250/tty/${name}/device`,
      "sys/devices/platform/serial8250",
    );
    machine.link(`sys/class/tty/${name}`, `sys/devices/platform/serial8250/tty/${name}`);
  }
  machine.write("sys/bus/platform/drivers/serial8250/uevent", "");
  machine.link("sys/devices/platform/serial8250/driver", "sys/bus/platform/drivers/serial8250");
  for (const name of ["tty", "tty0", "tty63", "console", "ptmx", "ttyprintk"]) {
    machine.write(`sys/devices/virtual/tty/${name}/dev`, "4:0");
    machine.link(`sys/class/tty/${name}`, `sys/devices/virtual/tty/${name}`);
  }
  assert.deepEqual(await list(machine), [{
    kind: "serial",
    path: "/dev/ttyS0",
    stable: "/dev/ttyS0",
    description: "serial port (serial8250)",
  }]);
});

Deno.test("chips, readers, cameras, buses, converters, watchdogs and clocks are found", async () => {
  using machine = new Machine();
  const put = (place: string, entry: string, files: Readonly<Record<string, string>>) => {
    for (const [file, text] of Object.entries(files)) machine.write(`${place}/${file}`, text);
    machine.link(entry, place);
  };
  put("sys/devices/platform/soc/fe200000.gpio/gpiochip0", "sys/bus/gpio/devices/gpiochip0", {
    label: "pinctrl-bcm2711",
  });
  for (const n of [1, 2]) {
    put(`sys/devices/platform/twin.${n}/gpiochip${n}`, `sys/bus/gpio/devices/gpiochip${n}`, {
      label: "twins",
    });
  }
  const keyboard = machine.usbDevice("1-4", { idVendor: "ffff", idProduct: "0035", serial: "" });
  machine.write(`${keyboard}/1-4:1.0/bInterfaceNumber`, "00");
  const hid = `${keyboard}/1-4:1.0/0003:FFFF:0035.0001`;
  const uevent = "DRIVER=hid-generic\nHID_ID=0003:0000FFFF:00000035\nHID_NAME=Sycreader USB Reader";
  machine.write(`${hid}/uevent`, uevent);
  put(`${hid}/hidraw/hidraw0`, "sys/class/hidraw/hidraw0", { dev: "240:0" });
  machine.link(`${hid}/hidraw/hidraw0/device`, hid);
  const bluetooth = "sys/devices/virtual/misc/uhid/0005:1234:ABCD.0002";
  machine.write(
    `${bluetooth}/uevent`,
    "HID_ID=0005:00001234:0000ABCD\nHID_NAME=Pad\nHID_UNIQ=aa:bb",
  );
  put(`${bluetooth}/hidraw/hidraw1`, "sys/class/hidraw/hidraw1", { dev: "240:1" });
  machine.link(`${bluetooth}/hidraw/hidraw1/device`, bluetooth);
  const camera = machine.usbDevice("1-5", {
    idVendor: "046d",
    idProduct: "0825",
    serial: "C0FFEE",
  });
  machine.write(`${camera}/1-5:1.0/bInterfaceNumber`, "00");
  for (const n of [0, 1]) {
    put(`${camera}/1-5:1.0/video4linux/video${n}`, `sys/class/video4linux/video${n}`, {
      name: "Webcam C270",
      index: String(n),
    });
  }
  put("sys/devices/w1_bus_master1", "sys/bus/w1/devices/w1_bus_master1", { w1_master_slaves: "" });
  put("sys/devices/w1_bus_master1/01-000018a2f5c3", "sys/bus/w1/devices/01-000018a2f5c3", {
    id: "",
  });
  put("sys/devices/platform/adc/iio:device0", "sys/bus/iio/devices/iio:device0", {
    name: "mcp3008",
  });
  put("sys/devices/platform/wdt/watchdog/watchdog0", "sys/class/watchdog/watchdog0", {
    identity: "Broadcom BCM2835 Watchdog timer",
  });
  put("sys/devices/platform/rtc/rtc/rtc0", "sys/class/rtc/rtc0", { name: "rtc-ds1307 1-0068" });
  const found = await list(machine);
  assert.deepEqual(
    found.map(({ kind, path, stable, description }) => [kind, path, stable, description]),
    [
      ["gpio-chip", "/dev/gpiochip0", "pinctrl-bcm2711", "pinctrl-bcm2711"],
      ["gpio-chip", "/dev/gpiochip1", "gpiochip1", "twins"],
      ["gpio-chip", "/dev/gpiochip2", "gpiochip2", "twins"],
      ["hid", "/dev/hidraw0", "usb:ffff:0035@1-4:if00", "Sycreader USB Reader"],
      ["hid", "/dev/hidraw1", "hid:1234:abcd:aa_bb", "Pad"],
      ["camera", "/dev/video0", "usb:046d:0825:C0FFEE:if00", "Webcam C270"],
      ["one-wire", "w1_bus_master1", "w1_bus_master1", "1-Wire bus"],
      ["iio", "iio:device0", "mcp3008", "mcp3008"],
      ["watchdog", "/dev/watchdog0", "/dev/watchdog0", "Broadcom BCM2835 Watchdog timer"],
      ["rtc", "/dev/rtc0", "/dev/rtc0", "rtc-ds1307 1-0068"],
    ],
  );
  assert.deepEqual(found[3]!.usb, { vendorId: 0xffff, productId: 0x35 });
  assert.equal(found[4]!.usb, undefined, "Bluetooth is no USB");
});

Deno.test("a device's own words are cut and cleaned", async () => {
  using machine = new Machine();
  const nasty = `evil\u001b[2J\u0007\u202e"'${"\u{1f600}x".repeat(100)}`;
  // Cut at either half of a pair.
  for (const [socket, more] of [["1-1", ""], ["1-2", "y"]] as const) {
    const fields = { ...FTDI, serial: `../../${more}${nasty}`, product: `${more}${nasty}` };
    machine.usbSerial(socket, `ttyACM${socket.slice(2)}`, fields);
  }
  for (const { stable, description } of await list(machine)) {
    assert.match(stable, /^usb:0403:6001:[\w.-]{1,64}:if00$/);
    assert.ok(description.length <= 100 && description.isWellFormed());
    assert.doesNotMatch(description, /\p{Cc}|\p{Cf}/u);
  }
});

Deno.test("an empty or broken machine has nothing", async () => {
  using machine = new Machine();
  assert.deepEqual(await list(machine), []);
  machine.link("sys/class/tty/ttyUSB0", "sys/devices/gone");
  machine.link("sys/class/hidraw/hidraw0", "sys/class/hidraw/hidraw0");
  machine.write("sys/class/rtc", "a file");
  machine.write("sys/devices/odd/uevent", "HID_ID=nonsense");
  machine.link("sys/class/hidraw/hidraw1", "sys/devices/odd");
  const found = await list(machine);
  assert.deepEqual(found.map(({ path, stable }) => [path, stable]), [
    ["/dev/hidraw1", "/dev/hidraw1"],
  ]);
  const aborted = AbortSignal.abort(new Error("enough"));
  await assert.rejects(linuxInventory({ clock: new VirtualClock() }).list(aborted), /enough/);
});

Deno.test("what is pulled out and put back is told in order, by its stable name", async () => {
  using machine = new Machine();
  machine.usbSerial("1-1", "ttyUSB0", FTDI);
  const clock = new VirtualClock();
  const stop = new AbortController();
  const inventory = linuxInventory({ clock, root: machine.root, events: false });
  const changes: string[] = [];
  const watching = (async () => {
    for await (const { change, device } of inventory.watch(stop.signal)) {
      changes.push(`${change} ${device.stable} ${device.path}`);
    }
  })();
  const name = "usb:0403:6001:A50285BI:if00";
  await clock.advance(3_000);
  assert.deepEqual(changes, [], "what is there at the start is no change");
  machine.unplugSerial("1-1", "ttyUSB0");
  await clock.advance(1_000);
  machine.usbSerial("1-2", "ttyUSB1", FTDI);
  await clock.advance(1_000);
  assert.deepEqual(changes.splice(0), [
    `detached ${name} /dev/ttyUSB0`,
    `attached ${name} /dev/ttyUSB1`,
  ]);
  // Another one at the same place, between two looks.
  machine.unplugSerial("1-2", "ttyUSB1");
  machine.usbSerial("1-2", "ttyUSB1", { ...FTDI, serial: "B1" });
  await clock.advance(1_000);
  assert.deepEqual(changes.splice(0), [
    `detached ${name} /dev/ttyUSB1`,
    "attached usb:0403:6001:B1:if00 /dev/ttyUSB1",
  ]);
  stop.abort();
  await clock.advance(1_000);
  await watching;
});

Deno.test("where udev runs, a new adapter is told with its link, or after two seconds without", async () => {
  using machine = new Machine();
  machine.write("run/udev/control", "");
  const clock = new VirtualClock();
  const stop = new AbortController();
  const inventory = linuxInventory({ clock, root: machine.root, events: false });
  const changes: FoundDevice[] = [];
  const watching = (async () => {
    for await (const { device } of inventory.watch(stop.signal)) changes.push(device);
  })();
  machine.usbSerial("1-1", "ttyUSB0", FTDI);
  await clock.advance(1_400);
  assert.equal(changes.length, 0);
  machine.link("dev/serial/by-id/usb-FTDI-if00-port0", "dev/ttyUSB0");
  await clock.advance(200);
  assert.equal(changes.pop()?.stable, "/dev/serial/by-id/usb-FTDI-if00-port0");
  machine.usbSerial("1-2", "ttyUSB1", { ...FTDI, serial: "B1" });
  await clock.advance(4_000);
  assert.equal(changes.pop()?.stable, "usb:0403:6001:B1:if00");
  stop.abort();
  await clock.advance(1_000);
  await watching;
});

Deno.test("the kernel's messages are read, and nonsense is not", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const message = "add@/devices/pci0000:00/usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0\0ACTION=add\0" +
    "DEVPATH=/devices/pci0000:00/usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0\0SUBSYSTEM=tty\0MAJOR=188\0" +
    "MINOR=0\0DEVNAME=ttyUSB0\0SEQNUM=2431\0";
  assert.deepEqual(parseUevent(bytes(message)), { action: "add", subsystem: "tty" });
  assert.equal(parseUevent(bytes("libudev\0\0\0")), undefined);
  const seed = Math.floor(Math.random() * 2 ** 32);
  console.log(`seed ${seed}`);
  let state = seed;
  for (let i = 0; i < 2_000; i++) {
    const cut = bytes(message);
    for (let n = 0; n < 4; n++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      cut[state % cut.length] = state >>> 24;
    }
    parseUevent(cut.subarray(0, state % cut.length));
  }
});

Deno.test("a wait for the kernel's events ends with its time and its signal", async () => {
  let socket: UeventSocket;
  try {
    socket = new UeventSocket();
  } catch (error) {
    console.log(`skipped: ${(error as Error).message}`);
    return;
  }
  try {
    const clock = linuxClock();
    const startMs = clock.monotonicMs();
    assert.equal(await socket.wait(new Set(["none such"]), 50, never()), false);
    assert.ok(clock.monotonicMs() - startMs >= 45);
    const stop = new AbortController();
    const waiting = socket.wait(new Set(["none such"]), 60_000, stop.signal);
    stop.abort();
    assert.equal(await waiting, false);
  } finally {
    socket.close();
  }
});

/** Sends `text` to netlink port `port` as this process; `false` when the system forbids it. */
function forge(port: number, text: string): boolean {
  const address = (buffer: ArrayBuffer) =>
    Deno.UnsafePointer.value(Deno.UnsafePointer.of(new Uint8Array(buffer)));
  const body = new Uint8Array(new ArrayBuffer(1_024));
  body.set(new TextEncoder().encode(text));
  const name = new DataView(new ArrayBuffer(12));
  name.setUint16(0, 16, true);
  name.setUint32(4, port, true);
  const iov = new BigUint64Array(new ArrayBuffer(16));
  iov.set([address(body.buffer), BigInt(text.length)]);
  const header = new DataView(new ArrayBuffer(SOCKET_LAYOUT.msghdr.bytes));
  header.setBigUint64(0, address(name.buffer), true);
  header.setUint32(8, 12, true);
  header.setBigUint64(SOCKET_LAYOUT.msghdr.iov, address(iov.buffer), true);
  header.setBigUint64(SOCKET_LAYOUT.msghdr.iovlen, 1n, true);
  const fd = libc().socket(16, 3, 15);
  try {
    return libc().sendmsg(fd, new Uint8Array(header.buffer), 0) === text.length;
  } finally {
    libc().close(fd);
  }
}

Deno.test("an event that another process made up is not believed", async () => {
  let socket: UeventSocket;
  try {
    socket = new UeventSocket();
  } catch (error) {
    console.log(`skipped: ${(error as Error).message}`);
    return;
  }
  try {
    if (!forge(socket.port(), "add@/x\0ACTION=add\0SUBSYSTEM=tty\0")) {
      console.log("skipped: this user may not send to another's netlink socket");
      return;
    }
    const startMs = linuxClock().monotonicMs();
    assert.equal(await socket.wait(new Set(["tty"]), 5_000, never()), false);
    assert.ok(linuxClock().monotonicMs() - startMs < 4_000, "it came, and woke the wait");
  } finally {
    socket.close();
  }
});
