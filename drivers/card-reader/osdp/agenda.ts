/**
 * What to say to one reader next: orders first, then what somebody awaits the answer of, then what is
 * to be asked, and a poll when there is nothing else.
 *
 * @module
 */
import type { DriverLog } from "../../contract.ts";
import type { Abilities } from "./abilities.ts";
import type { Command } from "./commands.ts";
import { order } from "./exchange.ts";
import type { Order, OrderQueue } from "./orders.ts";
import type { Reply } from "./replies.ts";
import { Requests } from "./requests.ts";

/** How far a conversation is: who it is, the secure channel, what it has, what is old, and at work. */
export type Phase = "probe" | "secure" | "start" | "drain" | "online";

/** The agenda of one reader. */
export class Agenda {
  /**
   * While a reader wants a file and nothing else, it is polled only so often, in ms, and requests
   * follow each other at once.
   */
  paceMs: number | undefined;
  readonly #orders: OrderQueue;
  readonly #abilities: Abilities;
  readonly #log: DriverLog;
  readonly #requests = new Requests();
  #steps: Command[] = [];
  /** A poll goes between any two requests, so that taps are heard meanwhile. */
  #pollNext = false;

  /** Begins empty. */
  constructor(orders: OrderQueue, abilities: Abilities, log: DriverLog) {
    this.#orders = orders;
    this.#abilities = abilities;
    this.#log = log;
  }

  /** Whether an order waits, which goes before any poll. */
  get urgent(): boolean {
    return !this.#orders.empty;
  }

  /** Whether somebody waits for his turn. */
  get hurried(): boolean {
    return !this.#requests.empty;
  }

  /** Steps that are left. */
  get stepsLeft(): number {
    return this.#steps.length;
  }

  /** Replaces the steps to be taken. */
  plan(...steps: readonly Command[]): void {
    this.#steps = [...steps];
  }

  /** Adds a step to those to be taken. */
  add(step: Command): void {
    this.#steps.push(step);
  }

  /** Adds a command whose answer is awaited. */
  request(command: Command, replyMs: number | undefined): Promise<Reply> {
    return this.#requests.put(command, replyMs);
  }

  /** Everything that a reader which may have forgotten must be told again is to be said. */
  restore(led: boolean): void {
    const able = (kind: "led" | "text") => !this.#abilities.lacks(kind);
    this.#orders.restore({ led: led && able("led"), text: able("text") });
  }

  /** The conversation begins anew. */
  clear(): void {
    this.#steps = [];
    this.#requests.fail();
  }

  /** What is said now. */
  next(phase: Phase, nowMs: number): Order {
    switch (phase) {
      case "probe":
        return order({ kind: "id" });
      case "secure":
        // The answer to one step has put the next one there.
        return order(this.#step() ?? { kind: "id" });
      case "start":
        return order(this.#step() ?? { kind: "poll" });
      case "drain":
        return this.#order(nowMs) ?? order(this.#step() ?? { kind: "poll" });
      case "online":
        return this.#order(nowMs) ?? this.#request() ?? order(this.#step() ?? { kind: "poll" });
      default:
        return phase satisfies never;
    }
  }

  #order(nowMs: number): Order | undefined {
    return this.#orders.take(nowMs, (what) => {
      this.#log("warn", "an order came too late and was dropped", { what });
    });
  }

  #request(): Order | undefined {
    const wait = this.#pollNext && this.paceMs === undefined;
    const request = wait ? undefined : this.#requests.take();
    this.#pollNext = request !== undefined;
    return request;
  }

  #step(): Command | undefined {
    for (;;) {
      const step = this.#steps.shift();
      if (step === undefined || !this.#abilities.lacks(step.kind)) return step;
    }
  }
}
