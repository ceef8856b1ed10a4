import type { Clock } from "../hal/mod.ts";
import type { CommandMemory, EventSink } from "../runtime/journal/contract.ts";
import type { CommandResult, SyncLog } from "./contract.ts";
import type { TimeScale } from "./time_scale.ts";
import { type BoxCommand, type CommandMessage, WIRE_LIMITS } from "./wire/mod.ts";

/** What commands need. */
export interface CommandHost {
  readonly journal: EventSink & CommandMemory;
  readonly clock: Clock;
  readonly time: TimeScale;
  readonly log: SyncLog;
  readonly execute: (command: BoxCommand) => CommandResult | Promise<CommandResult>;
}

/** What became of a command. */
export type CommandFate = "executed" | "expired" | "refused" | "replayed" | "failed";

/** Ids remembered in memory, beside the journal's durable ones; a district sends a few an hour. */
const RECENT_MAX = 4096;
/** `command.result.detail` takes no more. */
const DETAIL_CHARACTERS_MAX = 500;

/**
 * Carries out each verified command at most once and in time, and records how it ended. Time is
 * judged on the district's scale: a box whose own clock is years off still does what it is told,
 * and still refuses what is old.
 */
export class Commands {
  readonly #host: CommandHost;
  readonly #recent = new Set<string>();

  /** Nothing is remembered yet but what the journal holds. */
  constructor(host: CommandHost) {
    this.#host = host;
  }

  /** Judges and carries out one command; resolves when its result is durable. Never rejects. */
  async take(message: CommandMessage): Promise<CommandFate> {
    const { time, clock, journal, log } = this.#host;
    const { id, issuedWallMs, expiresWallMs } = message;
    if (this.#recent.has(id)) return this.#replayed(id);
    this.#remember(id);
    const restMs = expiresWallMs - time.nowMs();
    if (restMs <= 0) {
      // Nobody waits for the result of one so old, and it may well be a replay.
      if (restMs < -WIRE_LIMITS.commandLifeMsMax) return this.#replayed(id);
      await this.#record(id, { outcome: "expired" });
      return "expired";
    }
    if (expiresWallMs - issuedWallMs > WIRE_LIMITS.commandLifeMsMax) {
      await this.#record(id, { outcome: "refused", detail: "it is valid for more than a day" });
      return "refused";
    }
    try {
      // The journal forgets by the box's clock, which may be ahead of the district's or behind it.
      const forgetMs = Math.max(expiresWallMs, clock.wallMs() + restMs);
      if (!await journal.firstSeen(id, forgetMs)) return this.#replayed(id);
    } catch (error) {
      // Not carried out: a restart would forget that it was, and a replay would do it again.
      const detail = `the journal does not take it: ${(error as Error).message}`;
      await this.#record(id, { outcome: "failed", detail });
      return "failed";
    }
    let result: CommandResult;
    try {
      result = await this.#host.execute(message.command);
    } catch (error) {
      result = { outcome: "failed", detail: (error as Error).message };
    }
    log.info("command", { id, name: message.command.name, outcome: result.outcome });
    await this.#record(id, result);
    return "executed";
  }

  #replayed(id: string): CommandFate {
    this.#host.log.warn("command was seen before; ignored", { id });
    return "replayed";
  }

  #remember(id: string): void {
    this.#recent.add(id);
    if (this.#recent.size <= RECENT_MAX) return;
    for (const oldest of this.#recent) {
      this.#recent.delete(oldest);
      break;
    }
  }

  async #record(id: string, result: CommandResult): Promise<void> {
    const detail = result.detail?.slice(0, DETAIL_CHARACTERS_MAX);
    try {
      await this.#host.journal.append({
        kind: "command.result",
        id,
        outcome: result.outcome,
        ...(detail === undefined || detail === "" ? {} : { detail }),
      });
    } catch (error) {
      this.#host.log.error("command's result not recorded", {
        id,
        outcome: result.outcome,
        detail: (error as Error).message,
      });
    }
  }
}
