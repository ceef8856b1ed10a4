/**
 * The morning rush: people tap at simulated readers, wait for the light, pass or turn away.
 *
 * @module
 */
import type { Clock } from "../hal/mod.ts";
import type { SimulatedOsdpReader } from "../hal/sim/osdp_reader/mod.ts";
import type { Arrival, School } from "./school.ts";

/** A reader in front of which people queue. */
export interface Queue {
  /** Its id in `box.yaml`. */
  readonly id: string;
  readonly reader: SimulatedOsdpReader;
  /** Input of the reader that is the door's contact; a turnstile has none. */
  readonly contact?: number;
}

/** One tap and how the reader answered. */
export interface Tap {
  readonly queue: string;
  readonly arrival: Arrival;
  readonly atMonotonicMs: number;
  /** Colour of the light, or `undefined` when there was none within {@link ANSWER_MS_MAX}. */
  readonly light: string | undefined;
}

/** A person who sees no light for this long goes to the guard. */
const ANSWER_MS_MAX = 3_000;
/** Mean of the time between two people, after the one before has his light. */
const PAUSE_MS_MEAN = 150;

/** Lets people come to `queue` until `signal` aborts; `onTap` gets each once it was answered. */
export async function rush(
  school: School,
  queue: Queue,
  clock: Clock,
  onTap: (tap: Tap) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const arrival = school.next();
    const atMonotonicMs = clock.monotonicMs();
    const light = await tapOnce(queue.reader, arrival.hex, clock);
    onTap({ queue: queue.id, arrival, atMonotonicMs, light });
    if (light === "green" && queue.contact !== undefined) {
      await passThrough(queue.reader, queue.contact, clock);
    }
    // Exponential: people come when they come.
    const pauseMs = Math.min(2_000, -Math.log(1 - school.random()) * PAUSE_MS_MEAN);
    await clock.sleep(pauseMs, signal).catch(() => {});
  }
}

async function tapOnce(
  reader: SimulatedOsdpReader,
  hex: string,
  clock: Clock,
): Promise<string | undefined> {
  const uid = Uint8Array.from({ length: 4 }, (_, i) => parseInt(hex.slice(i * 2, i * 2 + 2), 16));
  return await new Promise((resolve) => {
    const done = (colour: string | undefined) => {
      cancelLight();
      cancelTimeout();
      resolve(colour);
    };
    const cancelLight = reader.onLed((led) => {
      // The light of the tap before going out is no answer.
      if (led.temporary && (led.colour === "green" || led.colour === "red")) done(led.colour);
    });
    const cancelTimeout = clock.schedule(ANSWER_MS_MAX, () => done(undefined));
    reader.present(32, uid);
  });
}

async function passThrough(
  reader: SimulatedOsdpReader,
  contact: number,
  clock: Clock,
): Promise<void> {
  const { signal } = new AbortController();
  await clock.sleep(80, signal);
  reader.setInput(contact, true);
  await clock.sleep(150, signal);
  reader.setInput(contact, false);
}
