import type { InputLine, OutputLine } from "../../drivers/contract.ts";
import { type DOOR_INPUTS, type DoorConfig, doorPoints } from "../config/mod.ts";
import type { DoorWiring, PortalTraits } from "../door/mod.ts";

/** What a door of `box.yaml` is, for its control. */
export function traitsOf(config: DoorConfig): PortalTraits {
  switch (config.kind) {
    case "strike":
    case "magnet": {
      const { id, kind, holdMs, heldOpenMs } = config;
      return { id, kind, holdMs, heldOpenMs };
    }
    case "turnstile": {
      const { id, kind, holdMs, pulseMs, queueMax, passage, passageIn, passageOut } = config;
      const feedback = (passage ?? passageIn ?? passageOut) !== undefined;
      const outputOut = config.lockOut !== undefined;
      return { id, kind, holdMs, pulseMs, queueMax, feedback, outputOut };
    }
    case "barrier": {
      const { id, kind, holdMs, heldOpenMs, pulseMs, queueMax, lowerDelayMs, travelMs } = config;
      const outputLower = config.lower !== undefined;
      return {
        id,
        kind,
        holdMs,
        heldOpenMs,
        pulseMs,
        queueMax,
        lowerDelayMs,
        travelMs,
        outputLower,
      };
    }
    default:
      return config satisfies never;
  }
}

/** What it is wired to; every id has been checked to be there. */
export function wiringOf(
  config: DoorConfig,
  { inputs, outputs }: {
    readonly inputs: ReadonlyMap<string, InputLine>;
    readonly outputs: ReadonlyMap<string, OutputLine>;
  },
): Omit<DoorWiring, "readers"> {
  const points = doorPoints(config);
  const input = (field: typeof DOOR_INPUTS[number]) => inputs.get(points[field] ?? "");
  const found = {
    second: outputs.get(points.lockOut ?? points.lower ?? ""),
    contact: input("contact"),
    requestToExit: input("requestToExit"),
    loop: input("loop"),
  };
  const passages = ([["passageIn", "in"], ["passageOut", "out"], ["passage", undefined]] as const)
    .flatMap(([field, direction]) => {
      const line = input(field);
      return line === undefined ? [] : [{ input: line, direction }];
    });
  return {
    lock: outputs.get(config.lock)!,
    passages,
    ...Object.fromEntries(Object.entries(found).filter(([, line]) => line !== undefined)),
  };
}
