/**
 * What the routes of the console's API have in common.
 *
 * @module
 */
import type { Context } from "hono";
import { describeRoute, resolver, validator } from "hono-openapi";
import type * as v from "valibot";
import { apiError } from "./guard.ts";
import * as schemas from "./schemas.ts";

type Schema = v.GenericSchema;

/** A validator whose faults are answered as an `ApiError`. */
// deno-lint-ignore explicit-module-boundary-types -- its type is the validator's, pages long
export function check<S extends Schema, T extends "json" | "query">(
  target: T,
  schema: S,
  status: 400 | 422 = 400,
) {
  return validator(target, schema, (result, c) => {
    if (result.success) return;
    const issue = result.error[0];
    const path = issue?.path?.map((part) => typeof part === "object" ? part.key : part).join(".");
    const message = `${path ? `${path}: ` : ""}${issue?.message ?? "not as expected"}`;
    return apiError(c, status, "invalid", message.slice(0, 500));
  });
}

/** Describes a call for the OpenAPI document. */
export function describe(
  summary: string,
  answer?: Schema,
  status: number = 200,
): ReturnType<typeof describeRoute> {
  const errors = { description: "Refused", content: json(schemas.ErrorSchema) };
  return describeRoute({
    summary,
    responses: {
      [status]: {
        description: summary,
        ...(answer === undefined ? {} : { content: json(answer) }),
      },
      default: errors,
    },
  });
}

/** A JSON body for the OpenAPI document. */
export function json(
  schema: Schema,
): { readonly "application/json": { readonly schema: ReturnType<typeof resolver> } } {
  return { "application/json": { schema: resolver(schema) } };
}

/** Answers with JSON that nobody keeps. */
export function answer(c: Context, body: object, status: 200 | 201 | 202 | 422 = 200): Response {
  return c.json(body, status, { "cache-control": "no-store" });
}
