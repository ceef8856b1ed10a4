import type { BatonChunk } from "../../drivers/contract.ts";
import type { Cancel } from "../../hal/mod.ts";
import type { BoxEvent } from "../../sync/wire/mod.ts";
import type { BoxDevices } from "./box.ts";

/** Stores what batons have read, each read once; resolves when all of a chunk is durable. */
export interface BatonStore {
  /** See {@link import("./baton_marks.ts").BatonMarks.store}. */
  store(source: string, chunk: BatonChunk): Promise<void>;
}

/** Records what outputs, inputs and expanders do by themselves, each change once, and what batons have read. */
export function recordDevices(
  devices: BoxDevices,
  record: (event: BoxEvent) => void,
  batons: BatonStore,
): Cancel[] {
  const cancels: Cancel[] = [];
  for (const [output, line] of devices.outputs) {
    let last: boolean | undefined;
    cancels.push(line.onDriven((active) => {
      if (active === last) return;
      last = active;
      record({ kind: "output.changed", output, active });
    }));
  }
  for (const [input, line] of devices.inputs) {
    let last = line.active();
    let lastFault = line.fault();
    const fault = () => record({ kind: "input.fault", input, fault: lastFault ?? "none" });
    if (lastFault !== undefined) fault();
    cancels.push(line.onChange((active) => {
      if (line.fault() !== lastFault) {
        lastFault = line.fault();
        fault();
      }
      if (active !== undefined && active !== last) {
        record({ kind: "input.changed", input, active });
      }
      last = active;
    }));
  }
  for (const [expander, board] of devices.expanders) {
    const told = (online: boolean) =>
      record({ kind: online ? "expander.online" : "expander.offline", expander });
    // One that answered while the others were opened says so now.
    if (board.online()) told(true);
    cancels.push(board.onOnline(told));
  }
  for (const [source, cradle] of devices.batons) {
    cancels.push(cradle.onReads((chunk) => batons.store(source, chunk)));
  }
  return cancels;
}
