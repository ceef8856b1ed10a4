import assert from "node:assert/strict";
import { parseDeviceTrace, TraceError } from "./mod.ts";

const DEVICE = "# gatehouse device trace 1\n";

Deno.test("the forms of a device trace, as its page shows them", async () => {
  const page = await Deno.readTextFile(
    new URL("../../docs/drivers/contract.md", import.meta.url),
  );
  const text = /```text\n(# gatehouse device trace 1\n[^`]*)```/.exec(page)![1]!;
  const steps = parseDeviceTrace(text);
  assert.deepEqual(steps.map(({ what }) => what.on), [
    "gpio",
    "gpio",
    "hid-plug",
    "hid",
    "hid-unplug",
    "socket",
    "analog",
    "one-wire",
    "one-wire-temperature",
  ]);
  assert.deepEqual(steps[1], {
    direction: ">",
    afterMs: 5,
    what: { on: "gpio", chip: "gpiochip0", line: 17, high: true },
    lineNumber: 3,
  });
  assert.deepEqual(steps[2]!.what, {
    on: "hid-plug",
    identity: {
      path: "/dev/hidraw0",
      vendorId: 0x08ff,
      productId: 9,
      usagePage: 1,
      usage: 6,
      interfaceNumber: 0,
      serialNumber: "S123",
    },
  });
});

Deno.test("a serial trace is bytes, and ?? only what the box writes", () => {
  const serial = "# gatehouse serial trace 1\n+1.5 > 00 ?? ff # time of day\n+0 < 41\n";
  assert.deepEqual(parseDeviceTrace(serial).map(({ what }) => what), [
    { on: "serial", bytes: [0, undefined, 255] },
    { on: "serial", bytes: [0x41] },
  ]);
  assert.throws(() => parseDeviceTrace("# gatehouse serial trace 1\n+0 < ??\n"), TraceError);
});

Deno.test("what is no trace is refused with its line", () => {
  for (
    const line of [
      "+0 gpio a 1 1",
      "+x < gpio a 1 1",
      "+0 < gpio a 1 2",
      "+0 < gpio a -1 1",
      "+0 < gpio",
      "+0 < hid",
      "+0 < hid 1",
      "+0 < hid ?? 00",
      "+0 < hid-plug 08ff 1:6 0",
      "+0 > hid-unplug",
      "+0 < analog c 0 1.5",
      "+0 < analog c 0",
      "+0 > analog c 0 0.5",
      "+0 < one-wire w1 xyz",
      "+0 < toaster 1",
      "+9999999999 < gpio a 1 1",
    ]
  ) {
    assert.throws(() => parseDeviceTrace(`${DEVICE}\n${line}`), {
      name: "TraceError",
      message: /^line 3: expected/,
    }, line);
  }
  assert.throws(() => parseDeviceTrace("+0 < gpio a 1 1"), /line 1/);
});
