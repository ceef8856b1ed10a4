import type { BoxDevices } from "./box.ts";

const WIRES = {
  open: "its wire is broken",
  short: "its wires touch",
  contradiction: "its two contacts contradict each other: a wire is broken or short",
} as const;

/** What an installer should know of boards, wires and sensors, each with what to do. */
export function deviceFaults(
  { expanders, inputs, sensors }: Pick<BoxDevices, "expanders" | "inputs" | "sensors">,
): string[] {
  const faults: string[] = [];
  for (const [id, board] of expanders) {
    if (!board.online()) {
      faults.push(`expander ${id} does not answer; check its power, cable and address`);
    }
  }
  for (const [id, input] of inputs) {
    const fault = input.fault();
    if (fault !== undefined) {
      faults.push(`input ${id}: ${WIRES[fault]}; check it from the box to the contact`);
    } else if (input.active() === undefined) {
      faults.push(`input ${id} is unknown; check the reader, board or converter that it is on`);
    }
  }
  for (const [id, sensor] of sensors) {
    if (sensor.value() === undefined) {
      faults.push(`sensor ${id} measures nothing; check its wires and what it is on`);
    }
  }
  return faults;
}
