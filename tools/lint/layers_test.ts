import { deepEqual, equal, match } from "node:assert/strict";
import { importFault, layerOf, LAYERS } from "./layers.ts";

Deno.test("the longest path of the table decides a file's layer", () => {
  const cases: [string, string][] = [
    ["hal/clock.ts", "hal"],
    ["hal/linux/serial.ts", "hal/linux"],
    ["drivers/contract.ts", "drivers/contract"],
    ["drivers/card-reader/osdp/bus.ts", "drivers"],
    ["runtime/main.ts", "box program"],
    ["runtime/cli/box.ts", "box program"],
    ["runtime/journal/contract.ts", "journal contract"],
    ["runtime/journal/worker.ts", "runtime"],
    ["sync/wire/codec.ts", "sync/wire"],
    ["sync/client.ts", "sync"],
    ["halfway/there.ts", "unknown"],
  ];
  for (const [path, name] of cases) equal(layerOf(path).name, name, path);
});

Deno.test("imports of the table pass", () => {
  const allowed: [string, string, boolean?][] = [
    ["hal/linux/serial.ts", "hal/mod.ts"],
    ["drivers/card-reader/osdp/bus.ts", "hal/mod.ts"],
    ["drivers/card-reader/osdp/bus.ts", "drivers/contract.ts"],
    ["runtime/door/machine.ts", "sync/wire/mod.ts"],
    ["runtime/box/box.ts", "drivers/contract.ts"],
    ["sync/client.ts", "runtime/journal/contract.ts", true],
    ["district/api/app.ts", "sync/wire/mod.ts"],
    ["web/src/api.ts", "district/api/types.ts", true],
    ["runtime/cli/box.ts", "hal/linux/mod.ts"],
    ["runtime/cli/enrol.ts", "sync/mod.ts"],
    ["district/main.ts", "hal/linux/mod.ts"],
    ["demo/main.ts", "district/mod.ts"],
    ["runtime/version.ts", "deno.json"],
  ];
  for (const [from, to, typeOnly = false] of allowed) {
    equal(importFault(from, to, typeOnly), undefined, `${from} → ${to}`);
  }
});

Deno.test("whatever else crosses a border is a fault", () => {
  const forbidden: [string, string, boolean?][] = [
    ["drivers/card-reader/osdp/bus.ts", "runtime/policy/mod.ts"],
    ["drivers/card-reader/osdp/bus.ts", "hal/linux/mod.ts"],
    ["hal/clock.ts", "hal/linux/mod.ts"],
    ["hal/sim/clock.ts", "hal/linux/mod.ts"],
    ["runtime/box/box.ts", "hal/linux/mod.ts"],
    ["runtime/box/box.ts", "drivers/registry.ts"],
    ["runtime/box/box.ts", "sync/client.ts"],
    ["runtime/box/box.ts", "runtime/cli/box.ts"],
    ["sync/client.ts", "runtime/journal/contract.ts"],
    ["sync/client.ts", "runtime/journal/journal.ts", true],
    ["sync/wire/mod.ts", "runtime/journal/contract.ts", true],
    ["district/store.ts", "runtime/journal/mod.ts"],
    ["district/main.ts", "runtime/main.ts"],
    ["web/src/api.ts", "district/api/types.ts"],
    ["web/src/api.ts", "district/store.ts", true],
    ["runtime/main.ts", "district/mod.ts"],
    ["runtime/box/box.ts", "tests/helper.ts"],
    ["somewhere/new.ts", "hal/mod.ts"],
  ];
  for (const [from, to, typeOnly = false] of forbidden) {
    match(
      importFault(from, to, typeOnly) ?? "allowed",
      /may (not import|import types)/,
      `${from} → ${to}`,
    );
  }
});

Deno.test("tests beside the code may stand on any host, but on no other layer", () => {
  equal(importFault("runtime/box/box_test.ts", "hal/sim/mod.ts", false), undefined);
  equal(importFault("drivers/card-reader/osdp/bus_test.ts", "hal/linux/mod.ts", false), undefined);
  equal(importFault("sync/client_test.ts", "runtime/journal/contract.ts", false), undefined);
  match(importFault("runtime/box/box_test.ts", "district/mod.ts", false) ?? "", /may not import/);
  match(importFault("runtime/box/testing.ts", "hal/sim/mod.ts", false) ?? "", /may not import/);
});

Deno.test("the table is sound: names are unique and every name it uses exists", () => {
  const names = LAYERS.map((layer) => layer.name);
  equal(new Set(names).size, names.length);
  const used = LAYERS.flatMap((layer) => [
    ...layer.mayImport,
    ...layer.typesOnly ?? [],
    ...layer.testsMayImport ?? [],
  ]);
  deepEqual(used.filter((name) => name !== "*" && !names.includes(name)), []);
});
