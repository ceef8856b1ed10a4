/**
 * iButtons at a contact on a serial adapter with a DS2480B (DS9097U and its likes).
 *
 * @module
 */
import * as v from "valibot";
import { HalError } from "../../../hal/mod.ts";
import { defineDriver, type ReaderBusDriver } from "../../contract.ts";
import { type FeedbackLine, FeedbackLineSchema } from "../../feedback_lines.ts";
import { IBUTTON_ENTRIES, type IbuttonOptions, presentButton } from "../../ibutton_options.ts";
import { openPlainReader, type PlainReader } from "../../plain_reader.ts";
import { Ds2480b } from "./adapter.ts";

const Schema = v.strictObject({
  ...IBUTTON_ENTRIES,
  /** Line that lights a green LED beside the contact. */
  led: v.optional(FeedbackLineSchema),
  /** Line that sounds a buzzer. */
  buzzer: v.optional(FeedbackLineSchema),
});

/** Options of one contact. */
export interface Ds2480bOptions extends IbuttonOptions {
  readonly led?: FeedbackLine | undefined;
  readonly buzzer?: FeedbackLine | undefined;
}

/** Wait before an adapter that does not answer is set up again. */
const RETRY_MS = 2_000;
/** Searches in a row whose codes are wrong: no touch bounces so long. */
const BAD_SEARCHES_MAX = 20;

/** iButtons on a DS2480B at 9600 baud: each touch is a card of 64 bits, or of 48. */
export const ibuttonDs2480b: ReaderBusDriver<Ds2480bOptions> = defineDriver({
  id: "ibutton-ds2480b",
  kind: "card-reader",
  bus: "serial",
  reference: "Maxim DS2480B datasheet (19-5047); Maxim application notes 187 and 937",
  serialDefaults: { baudRate: 9600 },
  devicesMax: 1,
  optionsSchema: Schema,
  parseOptions: (raw: unknown): Ds2480bOptions => v.parse(Schema, raw),
  open: (host, [options], signal) =>
    openPlainReader(
      host,
      {
        what: "an iButton contact",
        oneWay: false,
        serve: async (reader, port, end) => {
          const adapter = new Ds2480b(port, host.clock);
          for (;;) {
            try {
              await adapter.begin(end);
              reader.up();
              await watch(adapter, reader, options!, (ms) => host.clock.sleep(ms, end), end);
            } catch (cause) {
              end.throwIfAborted();
              if (!(cause instanceof HalError) || !["timeout", "protocol"].includes(cause.kind)) {
                throw cause;
              }
              reader.down(cause.kind === "timeout" ? "no-reply" : "protocol");
              reader.limited.warn(
                "the adapter does not answer as a DS2480B does; check its port and its cable",
                { cause: cause.message },
              );
              await host.clock.sleep(RETRY_MS, end);
            }
          }
        },
      },
      options!,
      signal,
    ),
});

/** Looks at the contact until the adapter fails. */
async function watch(
  adapter: Ds2480b,
  reader: PlainReader,
  options: Ds2480bOptions,
  sleep: (ms: number) => Promise<void>,
  signal: AbortSignal,
): Promise<never> {
  let bad = 0;
  for (;;) {
    const { codes, shorted, receivedMonotonicMs } = await adapter.search(signal);
    const good = codes.map((code) => presentButton(reader, code, options, receivedMonotonicMs));
    // A contact bounces and slips: single wrong codes are how a touch begins and ends.
    bad = shorted || good.includes(false) ? bad + 1 : 0;
    if (bad >= BAD_SEARCHES_MAX) {
      bad = 0;
      reader.limited.warn(
        shorted
          ? "the contact is shorted; clean it, and look for a coin or a wire across it"
          : "buttons are read with wrong codes; clean the contact, and shorten its cable",
      );
    }
    await sleep(options.pollMs);
  }
}
