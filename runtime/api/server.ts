/**
 * What a box serves on its own network side: health and metrics, nothing that changes anything
 * (save for simulated readers, which exist only where no hardware does).
 *
 * @module
 */
import * as v from "valibot";
import type { BoxStatus } from "../../sync/wire/mod.ts";

/** Taps a simulated reader: a card of `bits` bits with value `hex`. */
export type SimulatedTap = (reader: string, bits: number, hex: string) => boolean;

/** What an update's health gate looks at, beside the status. */
export interface Vitals {
  /** The release's slot, as the starter named it; empty for the one of the system image. */
  readonly slot: string;
  /** The door loop goes round. */
  readonly alive: boolean;
  /** The last event became durable. */
  readonly journalWritable: boolean;
  /** Grows when a spoilt journal was replaced. */
  readonly journalEpoch: number;
  readonly districtConnected: boolean;
  /** The district's bundle that the configuration is from, or empty; why another one is not taken. */
  readonly config: { readonly bundle: string; readonly fault?: string };
  /** Which settings its policy came with, empty without one; what stands in for them, and why something else does not. */
  readonly policy: { readonly settings: string; readonly bundle: string; readonly fault?: string };
}

/** What the local API shows. */
export interface LocalApi {
  readonly status: () => BoxStatus;
  readonly vitals: () => Vitals;
  /** Empty when all is well; otherwise what is wrong, for the person who looks. */
  readonly faults: () => readonly string[];
  readonly metrics: () => Promise<string>;
  readonly tap?: SimulatedTap;
}

/** A tap is two short fields. */
const TAP_BYTES_MAX = 1024;

const TapSchema = v.strictObject({
  bits: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(255)),
  hex: v.pipe(v.string(), v.regex(/^([0-9a-f]{2}){1,32}$/)),
});

function json(body: unknown, status = 200): Response {
  return Response.json(body, { status, headers: { "cache-control": "no-store" } });
}

/**
 * Answers one request:
 *
 * - `GET /healthz`: 200 while the box can do its work, else 503; JSON with the faults, the status
 *   and the vitals of an update's health gate
 * - `GET /metrics`: Prometheus text format 0.0.4
 * - `POST /simulated/readers/ID/card` `{bits, hex}`: presents a card to a simulated reader
 */
export async function answerLocal(api: LocalApi, request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (request.method === "GET" && pathname === "/healthz") {
    const faults = api.faults();
    return json(
      { ok: faults.length === 0, faults, status: api.status(), vitals: api.vitals() },
      faults.length ? 503 : 200,
    );
  }
  if (request.method === "GET" && pathname === "/metrics") {
    return new Response(await api.metrics(), {
      headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
    });
  }
  const tapped = /^\/simulated\/readers\/([a-z0-9._-]{1,64})\/card$/.exec(pathname);
  if (request.method === "POST" && tapped !== null && api.tap !== undefined) {
    return await tap(api.tap, tapped[1]!, request);
  }
  return json({ error: "not found; there are GET /healthz and GET /metrics" }, 404);
}

async function tap(present: SimulatedTap, reader: string, request: Request): Promise<Response> {
  // A foreign page in a browser on this machine can send plain forms, but not JSON.
  if (request.headers.get("content-type") !== "application/json") {
    return json({ error: "send content-type: application/json" }, 415);
  }
  if (Number(request.headers.get("content-length") ?? Infinity) > TAP_BYTES_MAX) {
    return json({ error: `send at most ${TAP_BYTES_MAX} bytes, with their content-length` }, 413);
  }
  const card = v.safeParse(TapSchema, await request.json().catch(() => undefined));
  if (!card.success) {
    return json({ error: 'expected {"bits": 1–255, "hex": "two digits a byte, lower case"}' }, 400);
  }
  const { bits, hex } = card.output;
  if (hex.length !== Math.ceil(bits / 8) * 2) {
    return json({ error: `a card of ${bits} bits has ${Math.ceil(bits / 8) * 2} hex digits` }, 400);
  }
  if (!present(reader, bits, hex)) return json({ error: `no simulated reader ${reader}` }, 404);
  return new Response(null, { status: 204 });
}
