import { type Clock, writeFileDurably } from "../../hal/mod.ts";

/** Written again only when it has grown by this much: an SD card does not last for ever. */
const STEP_MS = 60 * 60_000;
/** No firmware of ours lives to see it; a floor beyond it is a spoilt file. */
const FLOOR_MS_MAX = Date.UTC(2100, 0, 1);
const FILE = /^gatehouse-time-floor 1\n(\d{1,14})\n$/;

/**
 * The time that is surely over, kept across restarts: without it a box whose clock was set back to
 * 1970 would take metadata that expired years ago. It is raised only by what somebody signed (the
 * district's time, a release's date), never by the box's own clock, which a forged time server can
 * put into 2099: that would end updates for ever.
 */
export class TimeFloor {
  readonly #path: string;
  readonly #clock: Clock;
  #floorMs: number;
  #writtenMs: number;
  #sinceMonotonicMs: number;

  /** Reads `path`; what is missing or spoilt begins at `builtAtMs`, the date of this program. */
  constructor(path: string, builtAtMs: number, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
    this.#writtenMs = readFloor(path);
    this.#floorMs = Math.max(this.#writtenMs, builtAtMs);
    this.#sinceMonotonicMs = clock.monotonicMs();
  }

  /** Wall time in ms to judge expiry by: the clock where it is disciplined, never below the floor. */
  nowMs(): number {
    const atLeastMs = this.#nowFloorMs();
    // A clock that nothing disciplines may as well show 2099: then the floor is all that is known.
    if (this.#clock.wallQuality() === "unsynchronised") return atLeastMs;
    return Math.max(this.#clock.wallMs(), atLeastMs);
  }

  /** Takes `signedMs`, a time that somebody whom the box trusts has signed. @throws when it cannot be stored. */
  raise(signedMs: number): void {
    if (!(signedMs > this.#writtenMs) || signedMs > FLOOR_MS_MAX) return;
    if (signedMs > this.#nowFloorMs()) {
      this.#floorMs = signedMs;
      this.#sinceMonotonicMs = this.#clock.monotonicMs();
    }
    if (signedMs - this.#writtenMs < STEP_MS) return;
    writeFileDurably(this.#path, `gatehouse-time-floor 1\n${Math.floor(signedMs)}\n`);
    this.#writtenMs = signedMs;
  }

  #nowFloorMs(): number {
    return this.#floorMs + this.#clock.monotonicMs() - this.#sinceMonotonicMs;
  }
}

function readFloor(path: string): number {
  try {
    if (Deno.statSync(path).size > 64) return 0;
    const floorMs = Number(FILE.exec(Deno.readTextFileSync(path))?.[1] ?? 0);
    return floorMs > FLOOR_MS_MAX ? 0 : floorMs;
  } catch {
    return 0;
  }
}
