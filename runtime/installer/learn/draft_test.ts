import assert from "node:assert/strict";
import { ConfigDraft } from "./draft.ts";
import type { ReaderPlace } from "./sighting.ts";

const OSDP: ReaderPlace = {
  on: "bus",
  path: "/dev/serial/by-id/usb-1",
  baudRate: 9_600,
  driver: "osdp",
  options: { address: 1 },
};

Deno.test("a draft of nothing becomes a whole file, one line a part", () => {
  const draft = ConfigDraft.of(undefined);
  assert.equal(draft.named, false);
  draft.name("gate", "Asia/Shanghai");
  draft.addReader("in", OSDP, "main");
  draft.addReader("out", { ...OSDP, options: { address: 2 } }, "main");
  draft.addReader("usb", {
    on: "own",
    driver: "hid-keyboard",
    options: { vendorId: 0x8ff, productId: 9 },
  }, "main");
  draft.addOutput("lock", { on: "reader", reader: OSDP, index: 0 });
  draft.addInput("contact", { on: "gpio", chip: "gpiochip0", line: 17, activeLow: true });
  draft.addDoor({ id: "main", kind: "strike" }, "lock");
  draft.joinDoor("main", "contact", "contact");
  draft.addRelease("contact");
  assert.equal(
    draft.toString(),
    `# Written by gatehouse learn; comments and order are kept when it runs again.

box: { name: gate, timezone: Asia/Shanghai }
buses:
  - { id: line, kind: serial, path: /dev/serial/by-id/usb-1, baudRate: 9600 }
readers:
  - { id: in, driver: osdp, bus: line, address: 1, door: main }
  - { id: out, driver: osdp, bus: line, address: 2, door: main }
  - { id: usb, driver: hid-keyboard, vendorId: 0x8ff, productId: 0x9, door: main }
outputs:
  - { id: lock, driver: osdp, reader: in, index: 0 }
inputs:
  - { id: contact, driver: gpio, chip: gpiochip0, line: 17, bias: pull-up, activeLow: true }
doors:
  - { id: main, lock: lock, kind: strike, contact: contact }
release:
  - { input: contact }
`,
  );
});

Deno.test("what stands there is kept with its comments, recognised, and not doubled", () => {
  const existing = `# the east gate
box: { name: gate, timezone: Asia/Shanghai } # do not rename
buses:
  # the adapter with the blue cable
  - { id: blue, kind: serial, path: /dev/serial/by-id/usb-1 }
readers:
  - id: in        # left of the door
    driver: osdp
    bus: blue
    address: 1
    pollMs: 50
    door: main
inputs: []
doors:
  - { id: main, lock: lock, kind: strike }
`;
  const draft = ConfigDraft.of(existing);
  assert.equal(draft.named, true);
  assert.deepEqual(draft.doors, ["main"]);
  assert.equal(draft.knownReader(OSDP), "in");
  const second = { ...OSDP, options: { address: 2 } };
  assert.equal(draft.knownReader(second), undefined);
  assert.equal(draft.freeId("readers", "in"), "in2");
  draft.addReader("in2", second, "main");
  const button = { on: "reader", reader: OSDP, index: 0 } as const;
  draft.addInput("button", button);
  assert.deepEqual([draft.knownInput(button), draft.knownOutput(button)], ["button", undefined]);
  const text = draft.toString();
  for (
    const comment of [
      "# the east gate",
      "# do not rename",
      "# the adapter with the blue cable",
      "# left of the door",
    ]
  ) {
    assert.ok(text.includes(comment), comment);
  }
  assert.ok(text.includes("pollMs: 50"));
  assert.ok(
    text.includes("  - { id: in2, driver: osdp, bus: blue, address: 2, door: main }"),
    text,
  );
  assert.ok(text.includes("inputs:\n  - { id: button, driver: osdp, reader: in, index: 0 }"), text);
  assert.equal(text.match(/usb-1/g)!.length, 1, "no second bus");
  assert.equal(ConfigDraft.of(text).knownInput({ on: "reader", reader: OSDP, index: 0 }), "button");
  assert.equal(
    ConfigDraft.of(text).knownOutput({ on: "reader", reader: OSDP, index: 0 }),
    undefined,
  );
});

Deno.test("what is no box.yaml is refused, and never half read", () => {
  assert.throws(() => ConfigDraft.of("{"), SyntaxError);
  assert.throws(() => ConfigDraft.of("- a\n- b\n"), SyntaxError);
  const odd = ConfigDraft.of("readers: 7\ninputs: [1, {}, { id: 2 }]\nbuses: { a: b }\n");
  assert.deepEqual(odd.doors, []);
  assert.throws(() => odd.addInput("x", { on: "reader", reader: OSDP, index: 0 }), RangeError);
});
