/**
 * Checks that doors, releases, emergency buttons and signals name outputs and inputs that there are, and
 * that no output serves two of them.
 *
 * @module
 */
import { DOOR_INPUTS, DOOR_OUTPUTS, doorPoints } from "./door_schema.ts";
import { type Faults, mustExist, type Path } from "./resolve.ts";
import type { BoxConfig } from "./schema.ts";

/** Checks `config`; what is wrong is told to `fault`. */
export function resolveDoors(config: BoxConfig, fault: Faults["fault"]): void {
  const used = new Map<string, string>();
  const output = (path: Path, id: string, user: string) => {
    mustExist(fault, path, id, config.outputs, "output");
    const other = used.get(id);
    if (other !== undefined) fault(path, `${id} is ${other} too`);
    used.set(id, user);
  };
  const input = (path: Path, id: string) => mustExist(fault, path, id, config.inputs, "input");

  for (const [index, door] of config.doors.entries()) {
    const points = doorPoints(door);
    const path: Path = ["doors", index];
    for (const field of DOOR_OUTPUTS) {
      const id = points[field];
      if (id !== undefined) output([...path, field], id, `the ${field} of door ${door.id}`);
    }
    for (const field of DOOR_INPUTS) {
      const id = points[field];
      if (id !== undefined) input([...path, field], id);
    }
    if (door.kind === "turnstile") {
      const each = door.passageIn !== undefined || door.passageOut !== undefined;
      if (each && door.passage !== undefined) {
        fault([...path, "passage"], "it is for both ways; remove it, or passageIn and passageOut");
      }
      if (door.pulseMs !== undefined && door.pulseMs > door.holdMs) {
        fault([...path, "pulseMs"], `expected at most holdMs, ${door.holdMs}, got ${door.pulseMs}`);
      }
    }
  }
  const seen = { release: new Set<string>(), emergency: new Set<string>() };
  for (const list of ["release", "emergency"] as const) {
    for (const [index, item] of config[list].entries()) {
      input([list, index, "input"], item.input);
      if (seen[list].has(item.input)) fault([list, index, "input"], `${item.input} is named twice`);
      seen[list].add(item.input);
    }
  }
  for (const [index, { reset }] of config.emergency.entries()) {
    if (reset !== undefined) input(["emergency", index, "reset"], reset);
  }
  for (const [index, signal] of config.signals.entries()) {
    output(["signals", index, "output"], signal.output, `the output of signal ${signal.id}`);
    if (signal.silence !== undefined) input(["signals", index, "silence"], signal.silence);
  }
}
