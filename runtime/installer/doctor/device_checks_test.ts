import assert from "node:assert/strict";
import type { DeviceAccess, FoundDevice, MachineUser } from "../../../hal/mod.ts";
import { judgeAccess, judgeFound, judgeMissing } from "./device_checks.ts";

const user: MachineUser = { uid: 1000, name: "gate", groups: ["gate", "gpio"] };
const port: DeviceAccess = {
  path: "/dev/serial/by-id/usb-1",
  realPath: "/dev/ttyUSB0",
  usable: true,
  group: "dialout",
  groupMay: true,
  holders: [],
};
const device: FoundDevice = {
  kind: "serial",
  path: "/dev/ttyUSB0",
  stable: "/dev/serial/by-id/usb-1",
  description: "FTDI FT232R",
};
const judge = (access: Partial<DeviceAccess>) =>
  judgeAccess("serial-port", "bus", { ...port, ...access }, user, "serial");

Deno.test("a group that is missing is named with the command that adds it", () => {
  assert.equal(judge({}), undefined);
  const missing = judge({ usable: false })!;
  assert.match(missing.what.en, /user gate may not open it: it belongs to group dialout/);
  assert.match(missing.advice!.en, /sudo usermod -aG dialout gate/);
  assert.match(missing.advice!.zh, /sudo usermod -aG dialout gate/);
});

Deno.test("a device of root's, or one whose group does not help, needs a udev rule", () => {
  for (const access of [{ group: "root" }, { groupMay: false }, { group: "gpio" }]) {
    const { advice } = judge({ usable: false, ...access })!;
    assert.match(advice!.en, /put SUBSYSTEM=="tty", GROUP="dialout".* into .*60-gatehouse\.rules/);
  }
  assert.match(judge({ usable: false, group: "root" })!.advice!.en, /MODE="0660"/);
});

Deno.test("who holds a port is named, with what to do about that program", () => {
  const held = (name: string) => judge({ holders: [{ pid: 42, name }] })!;
  assert.match(held("minicom").what.en, /minicom \(process 42\)/);
  assert.match(held("minicom").advice!.en, /sudo kill 42/);
  assert.match(held("deno").advice!.en, /systemctl stop gatehouse-box/);
  assert.match(held("ModemManager").advice!.en, /disable --now ModemManager/);
  assert.match(held("agetty").advice!.en, /raspi-config/);
  const chip = judgeAccess(
    "gpio-chip",
    "gpiochip0",
    { ...port, holders: [{ pid: 1, name: "x" }] },
    user,
    "gpio-chip",
  );
  assert.equal(chip, undefined, "a chip is shared, its lines are not");
});

Deno.test("what is merely there is told and not complained about", () => {
  assert.equal(judgeFound(device, port, user).severity, "ok");
  const closed = judgeFound(device, { ...port, usable: false }, user);
  assert.equal(closed.severity, "info");
  assert.match(closed.what.en, /FTDI FT232R \(\/dev\/ttyUSB0\): user gate may not open it/);
});

Deno.test("a path that is gone is told with the adapters that are there", () => {
  const advice = (others: FoundDevice[]) =>
    judgeMissing("serial-port", "bus", "/dev/serial/by-id/usb-2", others).advice!.en;
  assert.match(advice([]), /no such device at all/);
  assert.match(advice([device]), /there is another: \/dev\/serial\/by-id\/usb-1 \(FTDI FT232R\)/);
  assert.match(advice([device, { ...device, stable: "/dev/ttyS0" }]), /usb-1, \/dev\/ttyS0/);
});
