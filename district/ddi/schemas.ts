/**
 * Bodies of the hawkBit DDI API (https://eclipse.dev/hawkbit/rest-api/ddi/). Fields that nothing here
 * needs are passed over: every client sends others.
 *
 * @module
 */
import * as v from "valibot";

/** Attributes of one target. */
export const ATTRIBUTES_MAX = 64;
/** A client's whole log of a failure would fill the store. */
const REASON_CHARS_MAX = 1_000;
const DETAILS_MAX = 1_000;

const EXECUTIONS = [
  "closed",
  "proceeding",
  "canceled",
  "scheduled",
  "rejected",
  "resumed",
  "download",
  "downloaded",
] as const;

const FeedbackSchema = v.object({
  id: v.optional(v.union([v.string(), v.number()])),
  status: v.object({
    execution: v.picklist(EXECUTIONS),
    result: v.object({ finished: v.picklist(["success", "failure", "none"]) }),
    details: v.optional(v.pipe(v.array(v.string()), v.maxLength(DETAILS_MAX)), []),
  }),
});

/** What a client tells of an action. */
export interface Feedback {
  /** Of the action, where the client repeats it. */
  readonly id: string | undefined;
  readonly execution: typeof EXECUTIONS[number];
  readonly finished: "success" | "failure" | "none";
  /** Its words, for a person; at most 1,000 characters, the last ones. */
  readonly reason: string;
}

/** Reads a feedback. @throws a `ValiError` naming the field. */
export function parseFeedback(raw: unknown): Feedback {
  const { id, status: { execution, result, details } } = v.parse(FeedbackSchema, raw);
  return {
    id: id === undefined || id === "" ? undefined : String(id),
    execution,
    finished: result.finished,
    // deno-lint-ignore no-control-regex
    reason: details.join("; ").replace(/[\u0000-\u001f\u007f]+/g, " ").slice(-REASON_CHARS_MAX),
  };
}

const ConfigDataSchema = v.object({
  mode: v.optional(v.picklist(["merge", "replace", "remove"]), "merge"),
  data: v.pipe(
    v.record(
      v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
      v.pipe(v.string(), v.maxLength(1_024)),
    ),
    v.check(
      (data) => Object.keys(data).length <= ATTRIBUTES_MAX,
      `at most ${ATTRIBUTES_MAX} attributes are kept`,
    ),
  ),
});

/** What a client tells of itself. */
export interface ConfigData {
  readonly mode: "merge" | "replace" | "remove";
  readonly data: Readonly<Record<string, string>>;
}

/** Reads the body of `configData`. @throws a `ValiError` naming the field. */
export function parseConfigData(raw: unknown): ConfigData {
  return v.parse(ConfigDataSchema, raw);
}
