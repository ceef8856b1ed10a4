import * as v from "valibot";
import { writeFileDurably } from "../../hal/mod.ts";
import type { DoorMode } from "../../sync/wire/mod.ts";

const ModesSchema = v.record(v.string(), v.picklist(["normal", "free", "locked"]));

/**
 * Modes that an operator gave to doors. They outlive a restart: a lock-down must not end because
 * the power failed. One small JSON file, replaced as a whole.
 */
export class DoorModes {
  readonly #path: string;
  #modes: Record<string, DoorMode>;

  /** Reads `path`; a file that is missing or spoilt counts as empty, which `report` is told. */
  constructor(path: string, report: (message: string) => void) {
    this.#path = path;
    this.#modes = {};
    try {
      this.#modes = v.parse(ModesSchema, JSON.parse(Deno.readTextFileSync(path)));
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound)) {
        report(
          `${path} cannot be read, all doors start in normal mode: ${(cause as Error).message}`,
        );
      }
    }
  }

  /** The mode of `door`, `normal` unless it was set otherwise. */
  of(door: string): DoorMode {
    return this.#modes[door] ?? "normal";
  }

  /** Notes durably that `door` is in `mode`. */
  set(door: string, mode: DoorMode): void {
    if (this.of(door) === mode) return;
    this.#modes = { ...this.#modes, [door]: mode };
    writeFileDurably(this.#path, JSON.stringify(this.#modes));
  }
}
