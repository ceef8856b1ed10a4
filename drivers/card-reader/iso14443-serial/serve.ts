import { type Cancel, type Clock, HalError, type SerialPort } from "../../../hal/mod.ts";
import type { PlainReader } from "../../plain_reader.ts";
import { keepPolling } from "../../polled_reader.ts";
import { SerialQuestions } from "../../serial_questions.ts";
import type { ModuleProtocol } from "./module.ts";

/** A granted card lights the module for this long. */
const LIGHT_MS = 2_000;
/** ISO/IEC 14443-3 §6.5.4: single, double and triple size; type B has 4. */
const UID_BYTES: ReadonlySet<number> = new Set([4, 7, 10]);

/** Asks a module for cards until its line is lost. */
export async function serveModule(
  reader: PlainReader,
  port: SerialPort,
  clock: Clock,
  protocol: ModuleProtocol,
  times: { readonly pollMs: number; readonly replyMs: number; readonly absentMs: number },
  signal: AbortSignal,
): Promise<void> {
  const { pollMs, replyMs, absentMs } = times;
  let lit: boolean | undefined;
  let wanted = false;
  let cancelLight: Cancel = () => {};
  const unsubscribe = reader.onShow((feedback) => {
    if (feedback === "denied") return;
    cancelLight();
    wanted = feedback === "granted" || feedback === "free";
    if (feedback === "granted") cancelLight = clock.schedule(LIGHT_MS, () => void (wanted = false));
  });
  const talk = (line: SerialQuestions<Uint8Array>, end: AbortSignal) =>
    keepPolling(reader, clock, pollMs, async () => {
      if (!reader.online() && protocol.firmware !== undefined) {
        const { question, answers, read } = protocol.firmware;
        const firmware = read((await line.ask(question, replyMs, answers, end)).frame);
        reader.up({ vendor: protocol.name, model: 0, version: 0, serial: "", firmware });
      }
      if (protocol.light !== undefined && wanted !== lit) {
        const { question, answers } = protocol.light;
        await line.ask(question(wanted), replyMs, answers, end);
        lit = wanted;
      }
      const asked = line.ask(protocol.select, replyMs, protocol.selects, end);
      const { frame, receivedMonotonicMs } = await asked;
      reader.up();
      const reading = protocol.read(frame);
      switch (reading.kind) {
        case "none":
          break;
        case "fault":
          reader.limited.warn(reading.what);
          break;
        case "card":
          if (!UID_BYTES.has(reading.uid.length)) {
            throw new HalError(
              "protocol",
              `a UID of ${reading.uid.length} bytes came; see protocol`,
            );
          }
          reader.card(reading.uid.length * 8, reading.uid, absentMs, receivedMonotonicMs);
          break;
        default:
          reading satisfies never;
      }
    }, end);
  try {
    await SerialQuestions.serve(port, clock, protocol.finder(), talk, signal);
  } finally {
    cancelLight();
    unsubscribe();
  }
}
