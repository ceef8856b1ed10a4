import assert from "node:assert/strict";
import type { Expander, InputLine, Sensor } from "../../drivers/contract.ts";
import { deviceFaults } from "./device_faults.ts";

const board = (online: boolean) => ({ online: () => online }) as Expander;
const input = (active: boolean | undefined, fault?: "open" | "short" | "contradiction") =>
  ({ active: () => active, fault: () => fault }) as InputLine;
const sensor = (value: number | undefined) => ({ value: () => value }) as Sensor;

Deno.test("a silent board, a broken wire and a lost sensor are named; what is well is not", () => {
  const faults = deviceFaults({
    expanders: new Map([["io1", board(false)], ["io2", board(true)]]),
    inputs: new Map([
      ["fire", input(undefined, "open")],
      ["loop", input(true, "short")],
      ["button", input(undefined, "contradiction")],
      ["lost", input(undefined)],
      ["contact", input(false)],
    ]),
    sensors: new Map([["warm", sensor(21)], ["cold", sensor(undefined)]]),
  });
  assert.deepEqual(faults.map((fault) => fault.split(";")[0]), [
    "expander io1 does not answer",
    "input fire: its wire is broken",
    "input loop: its wires touch",
    "input button: its two contacts contradict each other: a wire is broken or short",
    "input lost is unknown",
    "sensor cold measures nothing",
  ]);
});
