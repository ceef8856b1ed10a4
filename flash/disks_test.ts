import assert from "node:assert/strict";
import { DiskError, parseDiskutil, parseLsblk, refusalOf } from "./disks.ts";

const GB = 1e9;
const node = (path: string, more: object = {}) => ({
  ...{ path, size: 32 * GB, type: "disk", rm: false, ro: false, hotplug: false },
  ...{ tran: null, vendor: null, model: null, mountpoints: [null] },
  ...more,
});

/** A notebook: its own disk encrypted, a USB stick, an SD card in a built-in reader, an old stick. */
const LSBLK = JSON.stringify({
  blockdevices: [
    node("/dev/nvme0n1", {
      tran: "nvme",
      model: "PM9A1",
      children: [
        node("/dev/nvme0n1p1", { type: "part", mountpoints: ["/boot/efi"] }),
        node("/dev/nvme0n1p2", {
          type: "part",
          children: [
            node("/dev/mapper/vg", {
              type: "crypt",
              children: [node("/dev/mapper/root", { type: "lvm", mountpoints: ["/", "[SWAP]"] })],
            }),
          ],
        }),
      ],
    }),
    node("/dev/sda", {
      rm: true,
      hotplug: true,
      tran: "usb",
      vendor: "Kingston ",
      model: "DT 3.0",
    }),
    node("/dev/mmcblk0", {
      children: [node("/dev/mmcblk0p1", { type: "part", mountpoints: ["/media/li/GATEHOUSE"] })],
    }),
    node("/dev/sdb", { rm: true, tran: "usb", size: 1 * GB }),
    node("/dev/sdc", { rm: true, tran: "usb", ro: true }),
    node("/dev/sdd", { tran: "sata", model: "ST4000" }),
    node("/dev/sr0", { type: "rom" }),
    node("/dev/mmcblk0boot0", { size: 0 }),
  ],
});

Deno.test("a disk is taken or refused for what it is, and the reason says what to do", () => {
  const disks = new Map(parseLsblk(LSBLK).map((disk) => [disk.path, disk]));
  assert.deepEqual([...disks.keys()], [
    ...["/dev/nvme0n1", "/dev/sda", "/dev/mmcblk0", "/dev/sdb", "/dev/sdc", "/dev/sdd"],
  ]);
  const why = (path: string, force = false) => refusalOf(disks.get(path)!, 2 * GB, force);
  assert.equal(why("/dev/sda"), undefined);
  assert.equal(disks.get("/dev/sda")!.what, "Kingston DT 3.0");
  for (const force of [false, true]) {
    assert.match(why("/dev/nvme0n1", force)!, /runs from/);
    assert.match(why("/dev/mmcblk0", force)!, /in use at \/media\/li\/GATEHOUSE: unmount/);
    assert.match(why("/dev/sdb", force)!, /has 1.0 GB, the image needs 2.0 GB/);
    assert.match(why("/dev/sdc", force)!, /read-only/);
  }
  assert.match(why("/dev/sdd")!, /--force/);
  assert.equal(why("/dev/sdd", true), undefined);
});

Deno.test("macOS lists what is plugged in, and what of it is mounted", () => {
  // Made after the manual of diskutil(8); not recorded on a Mac.
  const disks = parseDiskutil(JSON.stringify({
    AllDisksAndPartitions: [
      {
        DeviceIdentifier: "disk4",
        Size: 31_914_983_424,
        OSInternal: false,
        Partitions: [{ DeviceIdentifier: "disk4s1", MountPoint: "/Volumes/GATEHOUSE" }],
      },
      { DeviceIdentifier: "disk5", Size: 31_914_983_424, Partitions: [] },
    ],
  }));
  assert.match(refusalOf(disks[0]!, 2 * GB, true)!, /Volumes/);
  assert.equal(refusalOf(disks[1]!, 2 * GB, false), undefined);
});

Deno.test("what no lsblk says is refused", () => {
  const bad = ["", "{}", "[]", '{"blockdevices":[{"path":1}]}', '{"blockdevices":null}'];
  for (const text of bad) {
    assert.throws(() => parseLsblk(text), DiskError);
    assert.throws(() => parseDiskutil(text), DiskError);
  }
});
