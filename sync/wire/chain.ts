/**
 * The hash chain of a lane: each event's hash covers the one before it, so that a deletion or an
 * edit shows at whoever recomputes it.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Lane } from "./events.ts";
import { sha256Chain, sha256Of } from "./sha256.ts";

/** Length of a chain hash (SHA-256), in bytes. */
export const CHAIN_HASH_BYTES = 32;

/** The hash before a lane's first event: SHA-256 of `gatehouse/1/<epoch>/<lane>`. */
export function genesisHash(epoch: number, lane: Lane): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash("sha256").update(`gatehouse/1/${epoch}/${lane}`).digest());
}

/** SHA-256 of `previous` (32 bytes) and then the event's bytes. */
export function chainHash(previous: Uint8Array, event: Uint8Array): Uint8Array<ArrayBuffer> {
  return sha256Of(previous, event);
}

/** {@link chainHash} over consecutive events: the hash after the last one. */
export function chainHashAll(
  previous: Uint8Array,
  events: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  return sha256Chain(previous, events);
}

/** What a box signs to vouch for a lane up to its head. */
export function headStatement(
  boxId: string,
  head: {
    readonly lane: Lane;
    readonly epoch: number;
    readonly seq: number;
    readonly hash: Uint8Array;
  },
): Uint8Array<ArrayBuffer> {
  const hex = Array.from(head.hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return new TextEncoder().encode(
    `gatehouse-head/1\n${boxId}\n${head.epoch}\n${head.lane}\n${head.seq}\n${hex}`,
  );
}
