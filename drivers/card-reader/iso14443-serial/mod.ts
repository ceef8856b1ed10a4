/**
 * ISO/IEC 14443 modules with a length-prefixed serial protocol, of two families.
 *
 * @module
 */
import * as v from "valibot";
import { defineDriver, type ReaderBusDriver } from "../../contract.ts";
import { type FeedbackLine, FeedbackLineSchema } from "../../feedback_lines.ts";
import { openPlainReader } from "../../plain_reader.ts";
import { msSchema } from "../../polled_reader.ts";
import { EHUOYAN } from "./ehuoyan.ts";
import { serveModule } from "./serve.ts";
import { STRONGLINK } from "./stronglink.ts";

export type { FeedbackLine } from "../../feedback_lines.ts";

const Schema = v.strictObject({
  /** The family: `stronglink` (SL025 and its like), `ehuoyan` (YHY modules). */
  protocol: v.picklist(["stronglink", "ehuoyan"], "expected stronglink or ehuoyan"),
  /** Wait between two questions. */
  pollMs: v.optional(msSchema(20, 2_000), 100),
  /** How long the module may take to answer; anticollision takes some 20 ms. */
  replyMs: v.optional(msSchema(50, 2_000), 300),
  /** A card that was not seen for this long has gone; before that it is the same presentation. */
  absentMs: v.optional(msSchema(100, 60_000), 700),
  /** Line that lights a green LED. */
  led: v.optional(FeedbackLineSchema),
  /** Line that sounds a buzzer. */
  buzzer: v.optional(FeedbackLineSchema),
});

/** Options of one module. */
export interface Iso14443Options {
  readonly protocol: "stronglink" | "ehuoyan";
  readonly pollMs: number;
  readonly replyMs: number;
  readonly absentMs: number;
  readonly led?: FeedbackLine | undefined;
  readonly buzzer?: FeedbackLine | undefined;
}

/** StrongLink and EHUOYAN modules, asked for the UID of the card that lies on them. */
export const iso14443Serial: ReaderBusDriver<Iso14443Options> = defineDriver({
  id: "iso14443-serial",
  kind: "card-reader",
  bus: "serial",
  reference:
    "StrongLink SL025M user manual 1.5, section 4; EHUOYAN YHY522R user manual 1.0, section 14",
  serialDefaults: { baudRate: 115_200 },
  devicesMax: 1,
  optionsSchema: Schema,
  parseOptions: (raw: unknown): Iso14443Options => v.parse(Schema, raw),
  open: (host, [options], signal) => {
    const protocol = options!.protocol === "stronglink" ? STRONGLINK : EHUOYAN;
    return openPlainReader(
      host,
      {
        what: protocol.name,
        oneWay: false,
        serve: (reader, port, end) =>
          serveModule(reader, port, host.clock, protocol, options!, end),
      },
      options!,
      signal,
    );
  },
});
