import { type Clock, HalError, type SerialPort } from "../../../hal/mod.ts";
import type { ReaderFeedback } from "../../contract.ts";
import type { PlainReader } from "../../plain_reader.ts";
import { keepPolling } from "../../polled_reader.ts";
import { SerialQuestions } from "../../serial_questions.ts";
import {
  CONTROL,
  encodeQuestion,
  type ObidAnswer,
  ObidFinder,
  parseInventory,
  STATUS,
} from "./frame.ts";

const INVENTORY = 0x01;
const NEW_INVENTORY = 0x00;
const MORE_DATA = 0x80;
/** An answer of 255 bytes has 24 tags; no pad sees so many. */
const PARTS_MAX = 16;

const GREEN = 0b01;
const RED = 0b01 << 2;
const BEEPER = 0b01 << 4;
const LED_OFF = 0b1010;

/** What is lit and sounded for how long, in steps of 100 ms. */
const SIGNALS: Readonly<Record<ReaderFeedback, readonly [state: number, for100Ms: number]>> = {
  granted: [GREEN | BEEPER, 2],
  denied: [RED | BEEPER, 10],
  idle: [LED_OFF, 1],
  locked: [RED, 10],
  free: [GREEN, 10],
  alarm: [RED | BEEPER, 30],
};

/** [0x71] Set Output: output state, its frequency and its time. */
function signalQuestion(feedback: ReaderFeedback): Uint8Array {
  const [state, for100Ms] = SIGNALS[feedback];
  return encodeQuestion(CONTROL.setOutput, 0, state, 0, 0, 0, for100Ms, 0, 0);
}

/** What a pad is asked, and how often. */
export interface PadTimes {
  readonly pollMs: number;
  readonly replyMs: number;
  readonly absentMs: number;
  /** Whether its LEDs and beeper are driven. */
  readonly signals: boolean;
}

/** Asks a pad for the tags on it until its line is lost. */
export async function servePad(
  reader: PlainReader,
  port: SerialPort,
  clock: Clock,
  times: PadTimes,
  signal: AbortSignal,
): Promise<void> {
  let feedback: ReaderFeedback | undefined;
  const unsubscribe = reader.onShow((shown) => {
    feedback = times.signals ? shown : undefined;
  });
  const talk = (line: SerialQuestions<ObidAnswer>, end: AbortSignal) => {
    const ask = (question: Uint8Array, control: number) =>
      line.ask(question, times.replyMs, (answer) => answer.control === control, end);
    return keepPolling(reader, clock, times.pollMs, async () => {
      if (feedback !== undefined) {
        const question = signalQuestion(feedback);
        feedback = undefined;
        await ask(question, CONTROL.setOutput);
      }
      // Tags that were read stay quiet until the field was off; so each time all of them answer.
      await ask(encodeQuestion(CONTROL.rfReset), CONTROL.rfReset);
      let mode = NEW_INVENTORY;
      for (let part = 0; part < PARTS_MAX; part++) {
        const question = encodeQuestion(CONTROL.host, INVENTORY, mode);
        const { frame, receivedMonotonicMs } = await ask(question, CONTROL.host);
        const { status, data } = frame;
        reader.up();
        if (status === STATUS.noTransponder) return;
        if (status !== STATUS.ok && status !== STATUS.moreData && status !== STATUS.rfWarning) {
          const shown = status.toString(16).padStart(2, "0");
          throw new HalError("protocol", `the pad refused an inventory: status ${shown}`);
        }
        for (const uid of parseInventory(data)) {
          reader.card(64, uid, times.absentMs, receivedMonotonicMs);
        }
        if (status !== STATUS.moreData) return;
        mode = MORE_DATA;
      }
    }, end);
  };
  try {
    await SerialQuestions.serve(port, clock, new ObidFinder(), talk, signal);
  } finally {
    unsubscribe();
  }
}
