/**
 * What one reader can do, by its capabilities (PDCAP, annex B) and by what it refused.
 *
 * @module
 */
import { COMMAND, type Command } from "./commands.ts";
import { CAPABILITY, type Capability } from "./replies.ts";

/** Least that every device must take (§5.4). */
const RECEIVE_BYTES_MIN = 128;

/** The abilities of one reader. */
export class Abilities {
  readonly #lacking = new Set<number>();
  #capabilities: readonly Capability[] = [];

  /** Whether it is known not to know a command. */
  lacks(kind: Command["kind"]): boolean {
    return this.#lacking.has(COMMAND[kind]);
  }

  /** It refused a command as unknown. */
  refused(kind: Command["kind"]): void {
    this.#lacking.add(COMMAND[kind]);
  }

  /** Forgets everything: it may be another device now. */
  clear(): void {
    this.#lacking.clear();
    this.#capabilities = [];
  }

  /** Takes what it says of itself. */
  learn(capabilities: readonly Capability[]): void {
    this.#capabilities = capabilities;
    for (const kind of ["led", "buzzer"] as const) {
      if (this.#find(CAPABILITY[kind])?.compliance === 0) this.refused(kind);
    }
    // A display is rare: no word of it means that there is none.
    if ((this.#find(CAPABILITY.text)?.compliance ?? 0) === 0) this.refused("text");
  }

  /** Longest frame that it takes, in bytes: compliance is the low byte and count the high one. */
  get receiveBytes(): number {
    const found = this.#find(CAPABILITY.receiveBuffer);
    const bytes = found === undefined ? 0 : found.compliance | (found.count << 8);
    return Math.max(bytes, RECEIVE_BYTES_MIN);
  }

  /** Whether it has messages for us that are longer than the least that every controller takes. */
  get sendsLongMessages(): boolean {
    const found = this.#find(CAPABILITY.largestMessage);
    return found !== undefined && (found.compliance | (found.count << 8)) > RECEIVE_BYTES_MIN;
  }

  #find(code: number): Capability | undefined {
    return this.#capabilities.find((one) => one.function === code);
  }
}
