import type { Cancel } from "../../hal/mod.ts";
import type { BoxEvent } from "../../sync/wire/mod.ts";
import type { BoxDevices } from "./box.ts";

/**
 * Records what outputs, inputs, expanders and batons do by themselves, each change once. `store`
 * resolves when an event is durable, and rejects when it cannot be.
 */
export function recordDevices(
  devices: BoxDevices,
  record: (event: BoxEvent) => void,
  store: (event: BoxEvent) => Promise<unknown>,
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
    cancels.push(
      board.onOnline((online) =>
        record({ kind: online ? "expander.online" : "expander.offline", expander })
      ),
    );
  }
  for (const [source, cradle] of devices.batons) {
    cancels.push(cradle.onReads(async ({ baton, reads }) => {
      // All are durable before the baton may forget them.
      await Promise.all(
        reads.map(({ tag, atWallMs, record: place }) =>
          store({ kind: "patrol.read", source, tag, readAtMs: atWallMs, baton, record: place })
        ),
      );
    }));
  }
  return cancels;
}
