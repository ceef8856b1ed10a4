/**
 * CBOR (RFC 8949) for everything on the wire and in the journal.
 *
 * `cbor-x` is imported by its sub-path: its main entry loads a native add-on that kills Deno.
 *
 * @module
 */
// @ts-types="npm:cbor-x@1"
import { Decoder, Encoder, setSizeLimits } from "cbor-x/encode";
import { cborFault } from "./well_formed.ts";

setSizeLimits({ maxArraySize: 1 << 20, maxMapSize: 1 << 12, maxObjectSize: 1 << 12 });

const encoder = new Encoder({ useRecords: false, mapsAsObjects: true, tagUint8Array: false });
const decoder = new Decoder({ useRecords: false, mapsAsObjects: true, tagUint8Array: false });

/** Bytes that are no CBOR of the expected shape. */
export class WireError extends Error {
  /** Says what was being read, and why it cannot be. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "WireError";
  }
}

/** CBOR of `value`: plain objects, arrays, strings, numbers, booleans and `Uint8Array`. */
export function encodeCbor(value: unknown): Uint8Array<ArrayBuffer> {
  // The encoder reuses its buffer; callers keep what they get.
  return new Uint8Array(encoder.encode(value));
}

/**
 * The same as a view of the encoder's buffer, at half the cost: for whoever copies it at once. It is
 * never written over, but keeps the whole buffer alive, and must not be transferred.
 */
export function encodeCborView(value: unknown): Uint8Array {
  return encoder.encode(value);
}

/**
 * The value in `bytes`, still to be parsed by a schema.
 *
 * @throws {@link WireError} on truncated, oversized or trailing bytes; `what` names them.
 */
export function decodeCbor(bytes: Uint8Array, what: string, bytesMax: number): unknown {
  if (bytes.length > bytesMax) {
    throw new WireError(`${what}: ${bytes.length} bytes, at most ${bytesMax} are taken`);
  }
  const fault = cborFault(bytes);
  if (fault !== undefined) throw new WireError(`${what}: not the CBOR that is expected: ${fault}`);
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new WireError(`${what}: not valid CBOR`, { cause });
  }
}
