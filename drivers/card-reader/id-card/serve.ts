import { createHmac } from "node:crypto";
import { HalError, type SerialPort } from "../../../hal/mod.ts";
import type { SerialDriverHost } from "../../contract.ts";
import type { PlainReader } from "../../plain_reader.ts";
import { keepPolling } from "../../polled_reader.ts";
import { SerialQuestions } from "../../serial_questions.ts";
import {
  citizenNumber,
  encodeQuestion,
  moduleNumber,
  type SamAnswer,
  SamFinder,
  STATUS,
  STATUS_ADVICE,
} from "./frame.ts";

const MODULE_STATE = encodeQuestion(0x11, 0xff);
const MODULE_NUMBER = encodeQuestion(0x12, 0xff);
const FIND = encodeQuestion(0x20, 0x01);
const SELECT = encodeQuestion(0x20, 0x02);
const READ_FIXED = encodeQuestion(0x30, 0x01);

/** The card computes its answer; text and photo then take 113 ms at 115200 baud, and 1.4 s at 9600. */
const READ_MS = 4_000;
/** A UID has so many bytes (ISO/IEC 14443 type B cards answer 00 36 00 00 08). */
const UID_BYTES = 8;
/** What is left of the HMAC. */
const REFERENCE_BYTES = 16;

/** What a card is known by. */
export type CardReference =
  | { readonly by: "uid"; readonly command: Uint8Array }
  | { readonly by: "number"; readonly key: Uint8Array };

/** How a module is asked. */
export interface IdCardTimes {
  readonly pollMs: number;
  readonly replyMs: number;
  readonly absentMs: number;
}

/** Asks a module for cards until its line is lost. */
export async function serveIdCards(
  reader: PlainReader,
  port: SerialPort,
  host: SerialDriverHost,
  reference: CardReference,
  { pollMs, replyMs, absentMs }: IdCardTimes,
  signal: AbortSignal,
): Promise<void> {
  const finder = new SamFinder();
  const talk = (line: SerialQuestions<SamAnswer>, end: AbortSignal) => {
    const ask = (question: Uint8Array, ms = replyMs) => line.ask(question, ms, () => true, end);
    const must = async (question: Uint8Array, what: string) => {
      const { frame } = await ask(question);
      if (frame.status !== STATUS.done) throw fault(what, frame.status);
      return frame.data;
    };
    return keepPolling(reader, host.clock, pollMs, async () => {
      if (!reader.online()) {
        await must(MODULE_STATE, "its state");
        const number = await must(MODULE_NUMBER, "its number");
        const written = moduleNumber(number);
        host.log("info", "an ID card module answers", { number: written });
        reader.up({
          vendor: "SAM_V",
          model: 0,
          version: 0,
          serial: number.toHex(),
          firmware: written.split("-")[0]!,
        });
      }
      const found = (await ask(FIND)).frame.status;
      if (found === STATUS.noCard) return;
      if (found !== STATUS.found) return tell(reader, "finding a card", found);
      const selected = (await ask(SELECT)).frame.status;
      // It was taken away between the two.
      if (selected === STATUS.notSelected) return;
      if (selected !== STATUS.done) return tell(reader, "selecting a card", selected);
      const question = reference.by === "uid" ? reference.command : READ_FIXED;
      const { frame, receivedMonotonicMs } = await ask(question, READ_MS);
      try {
        if (frame.status !== STATUS.done) return tell(reader, "reading a card", frame.status);
        const data = referenceOf(frame.data, reference);
        reader.card(data.length * 8, data, absentMs, receivedMonotonicMs);
      } finally {
        frame.data.fill(0);
      }
    }, end);
  };
  try {
    await SerialQuestions.serve(port, host.clock, finder, talk, signal);
  } finally {
    finder.reset();
  }
}

/** The card number that stands for a card. */
function referenceOf(data: Uint8Array, reference: CardReference): Uint8Array {
  if (reference.by === "uid") {
    if (data.length !== UID_BYTES) {
      throw new HalError("protocol", `a UID of ${data.length} bytes came; see uidCommand`);
    }
    return data.slice();
  }
  const number = citizenNumber(data);
  try {
    const mac = createHmac("sha256", reference.key).update(number).digest();
    return Uint8Array.from(mac.subarray(0, REFERENCE_BYTES));
  } finally {
    number.fill(0);
  }
}

function fault(what: string, status: number): HalError {
  const advice = STATUS_ADVICE.get(status) ?? `status ${status.toString(16).padStart(2, "0")}`;
  return new HalError("protocol", `the ID card module, ${what}: ${advice}`);
}

function tell(reader: PlainReader, what: string, status: number): void {
  reader.limited.warn(fault(what, status).message);
}
