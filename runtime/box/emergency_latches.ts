import * as v from "valibot";
import { writeFileDurably } from "../../hal/mod.ts";

/** A box has at most 64 inputs. */
const LatchesSchema = v.pipe(v.array(v.string()), v.maxLength(64));

/**
 * Emergencies that nobody has reset. They outlive a restart: cutting the power is no reset. One small
 * JSON file, replaced as a whole.
 */
export class EmergencyLatches {
  readonly #path: string;
  #raised: ReadonlySet<string>;

  /** Reads `path`; a file that is missing or spoilt counts as empty, which `report` is told. */
  constructor(path: string, report: (message: string) => void) {
    this.#path = path;
    this.#raised = new Set();
    try {
      this.#raised = new Set(v.parse(LatchesSchema, JSON.parse(Deno.readTextFileSync(path))));
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound)) {
        report(
          `${path} cannot be read, no emergency counts as raised: ${(cause as Error).message}`,
        );
      }
    }
  }

  /** Whether the emergency of `input` stands. */
  has(input: string): boolean {
    return this.#raised.has(input);
  }

  /** Notes, in memory at once and then durably, whether it stands. @throws when it cannot be stored. */
  set(input: string, raised: boolean): void {
    if (this.has(input) === raised) return;
    const all = new Set(this.#raised);
    if (raised) all.add(input);
    else all.delete(input);
    this.#raised = all;
    writeFileDurably(this.#path, JSON.stringify([...all]));
  }
}
