/**
 * Policy compiled for decisions: flat typed arrays, so that 200,000 credentials take about 6 MB,
 * load from the store without parsing, and move between threads without copying.
 *
 * @module
 */
import type { Policy, Schedule } from "../../sync/wire/mod.ts";
import { decodeCbor, encodeCbor, WEEKDAYS, WIRE_LIMITS } from "../../sync/wire/mod.ts";
import { cardKeyFromNumber, hashCardKey } from "./card_key.ts";

/** Grows whenever {@link CompiledPolicy} changes; a store with another one is compiled anew. */
export const COMPILED_FORMAT = 1;

/** The schedule that always applies; needs no entry in a policy. */
export const ALWAYS = "always";

const MINUTES_A_DAY = 1440;
/** Words of 32 minutes in a day's bitmap. */
export const DAY_WORDS: number = MINUTES_A_DAY / 32;
/** A schedule's bitmap: seven days from Monday, then the hours of a holiday. */
export const SCHEDULE_WORDS: number = DAY_WORDS * 8;

/** A policy ready to be bound to the doors of a box. */
export interface CompiledPolicy {
  readonly version: number;
  /** Open-addressing table of credential index + 1, 0 where empty; its length is a power of two. */
  readonly table: Uint32Array<ArrayBuffer>;
  /** Start of each credential's key in `keys`, and one more at the end. */
  readonly keyOffsets: Uint32Array<ArrayBuffer>;
  readonly keys: Uint8Array<ArrayBuffer>;
  readonly credentialIds: Uint32Array<ArrayBuffer>;
  readonly credentialActive: Uint8Array<ArrayBuffer>;
  /** Index into the `holder…` arrays. */
  readonly credentialHolder: Uint32Array<ArrayBuffer>;
  readonly holderIds: Uint32Array<ArrayBuffer>;
  readonly holderActive: Uint8Array<ArrayBuffer>;
  /** ms since 1970; −Infinity without a start. */
  readonly holderFromMs: Float64Array<ArrayBuffer>;
  /** ms since 1970; Infinity without an end. The end itself is outside. */
  readonly holderUntilMs: Float64Array<ArrayBuffer>;
  /** Index into `rights`. */
  readonly holderRights: Uint32Array<ArrayBuffer>;
  /** Distinct combinations of access levels, each a list of indices into `levels`. */
  readonly rights: readonly (readonly number[])[];
  /** Access levels: door patterns with a schedule's index. */
  readonly levels: readonly (readonly {
    readonly doors: readonly string[];
    readonly schedule: number;
  }[])[];
  /** {@link SCHEDULE_WORDS} words a schedule; index 0 is {@link ALWAYS}. */
  readonly schedules: Uint32Array<ArrayBuffer>;
  /** Pairs of first and last holiday, each in days since 1970-01-01. */
  readonly holidays: Int32Array<ArrayBuffer>;
}

/** A policy whose parts do not fit together. The message names the part and what to do. */
export class PolicyError extends Error {
  /** Says which entry is wrong. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "PolicyError";
  }
}

function indexById<T extends { readonly id: string | number }>(
  items: readonly T[],
  what: string,
): Map<T["id"], number> {
  const index = new Map<T["id"], number>();
  for (const [position, item] of items.entries()) {
    if (index.has(item.id)) {
      throw new PolicyError(`${what} ${item.id} is there twice; ids must be unique`);
    }
    index.set(item.id, position);
  }
  return index;
}

function minuteOf(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3, 5));
}

function markIntervals(
  words: Uint32Array,
  dayOffset: number,
  intervals: Schedule["onHolidays"],
): void {
  for (const interval of intervals) {
    for (let minute = minuteOf(interval.from); minute < minuteOf(interval.to); minute++) {
      words[dayOffset + (minute >> 5)]! |= 1 << (minute & 31);
    }
  }
}

function compileSchedules(schedules: readonly Schedule[]): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array((schedules.length + 1) * SCHEDULE_WORDS);
  words.fill(0xffff_ffff, 0, SCHEDULE_WORDS);
  for (const [position, schedule] of schedules.entries()) {
    const base = (position + 1) * SCHEDULE_WORDS;
    for (const entry of schedule.weekly) {
      for (const day of entry.days) {
        markIntervals(words, base + WEEKDAYS.indexOf(day) * DAY_WORDS, entry.intervals);
      }
    }
    markIntervals(words, base + 7 * DAY_WORDS, schedule.onHolidays);
  }
  return words;
}

function epochDay(date: string): number {
  return Date.parse(`${date}T00:00:00Z`) / 86_400_000;
}

/**
 * Compiles `policy`, whose shape `parsePolicy` has checked.
 *
 * @throws {@link PolicyError} on a reference that leads nowhere, an id or card that is there twice,
 * or a card whose value does not fit its length.
 */
export function compilePolicy(policy: Policy, version: number): CompiledPolicy {
  const scheduleIndex = indexById(policy.schedules, "schedule");
  if (scheduleIndex.has(ALWAYS)) {
    throw new PolicyError(`schedule "${ALWAYS}" is built in; give yours another id`);
  }
  const levelIndex = indexById(policy.accessLevels, "access level");
  const holderIndex = indexById(policy.cardholders, "cardholder");
  indexById(policy.holidays, "holiday");
  const levels = policy.accessLevels.map((level) =>
    level.grants.map((grant) => {
      const schedule = grant.schedule === ALWAYS ? -1 : scheduleIndex.get(grant.schedule);
      if (schedule === undefined) {
        throw new PolicyError(
          `access level ${level.id} names schedule ${grant.schedule}, which is not there`,
        );
      }
      return { doors: grant.doors, schedule: schedule + 1 };
    })
  );

  const holderCount = policy.cardholders.length;
  const holderIds = new Uint32Array(holderCount);
  const holderActive = new Uint8Array(holderCount);
  const holderFromMs = new Float64Array(holderCount);
  const holderUntilMs = new Float64Array(holderCount);
  const holderRights = new Uint32Array(holderCount);
  const rights: number[][] = [];
  const rightsIndex = new Map<string, number>();
  for (const [position, holder] of policy.cardholders.entries()) {
    holderIds[position] = holder.id;
    holderActive[position] = holder.active ? 1 : 0;
    holderFromMs[position] = holder.validFromMs ?? -Infinity;
    holderUntilMs[position] = holder.validUntilMs ?? Infinity;
    const name = holder.accessLevels.join(" ");
    let right = rightsIndex.get(name);
    if (right === undefined) {
      right = rights.length;
      rightsIndex.set(name, right);
      rights.push(holder.accessLevels.map((level) => {
        const found = levelIndex.get(level);
        if (found === undefined) {
          throw new PolicyError(
            `cardholder ${holder.id} has access level ${level}, which is not there`,
          );
        }
        return found;
      }));
    }
    holderRights[position] = right;
  }

  const count = policy.credentials.length;
  let tableSize = 4;
  while (tableSize < count * 2) tableSize *= 2;
  const table = new Uint32Array(tableSize);
  const keyOffsets = new Uint32Array(count + 1);
  const keys = new Uint8Array(policy.credentials.reduce((sum, c) => sum + 1 + c.hex.length / 2, 0));
  const credentialIds = new Uint32Array(count);
  const credentialActive = new Uint8Array(count);
  const credentialHolder = new Uint32Array(count);
  const seenIds = new Set<number>();
  let offset = 0;
  for (const [position, credential] of policy.credentials.entries()) {
    let key: Uint8Array;
    try {
      key = cardKeyFromNumber(credential);
    } catch (cause) {
      throw new PolicyError(`credential ${credential.id}: ${(cause as Error).message}`, { cause });
    }
    const holder = holderIndex.get(credential.cardholder);
    if (holder === undefined) {
      throw new PolicyError(
        `credential ${credential.id} names cardholder ${credential.cardholder}, which is not there`,
      );
    }
    if (seenIds.has(credential.id)) {
      throw new PolicyError(`credential ${credential.id} is there twice; ids must be unique`);
    }
    seenIds.add(credential.id);
    keys.set(key, offset);
    keyOffsets[position] = offset;
    offset += key.length;
    keyOffsets[position + 1] = offset;
    credentialIds[position] = credential.id;
    credentialActive[position] = credential.active ? 1 : 0;
    credentialHolder[position] = holder;
    let slot = hashCardKey(key, 0, key.length) & (tableSize - 1);
    while (table[slot] !== 0) {
      const other = table[slot]! - 1;
      if (sameKey(keys, keyOffsets[other]!, keyOffsets[other + 1]!, key)) {
        throw new PolicyError(
          `credentials ${credentialIds[other]} and ${credential.id} are the same card ` +
            `(${credential.bits} bits ${credential.hex}); remove one`,
        );
      }
      slot = (slot + 1) & (tableSize - 1);
    }
    table[slot] = position + 1;
  }
  return {
    version,
    table,
    keyOffsets,
    keys,
    credentialIds,
    credentialActive,
    credentialHolder,
    holderIds,
    holderActive,
    holderFromMs,
    holderUntilMs,
    holderRights,
    rights,
    levels,
    schedules: compileSchedules(policy.schedules),
    holidays: new Int32Array(policy.holidays.flatMap((h) => [epochDay(h.from), epochDay(h.to)])),
  };
}

function sameKey(keys: Uint8Array, from: number, to: number, key: Uint8Array): boolean {
  if (to - from !== key.length) return false;
  for (let index = 0; index < key.length; index++) {
    if (keys[from + index] !== key[index]) return false;
  }
  return true;
}

/** Index of the credential with `key`, or −1. */
export function findCredential(policy: CompiledPolicy, key: Uint8Array): number {
  const { table } = policy;
  const mask = table.length - 1;
  let slot = hashCardKey(key, 0, key.length) & mask;
  for (let entry = table[slot]!; entry !== 0; entry = table[slot]!) {
    if (sameKey(policy.keys, policy.keyOffsets[entry - 1]!, policy.keyOffsets[entry]!, key)) {
      return entry - 1;
    }
    slot = (slot + 1) & mask;
  }
  return -1;
}

/** Every buffer of a compiled policy, to be transferred with it to another thread. */
export function buffersOf(policy: CompiledPolicy): ArrayBuffer[] {
  return Object.values(policy).flatMap((value) =>
    ArrayBuffer.isView(value) ? [value.buffer] : []
  ) as ArrayBuffer[];
}

/** A compiled policy as bytes for the box's own store. */
export function packCompiled(policy: CompiledPolicy): Uint8Array<ArrayBuffer> {
  const packed: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(policy)) {
    packed[name] = ArrayBuffer.isView(value)
      ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
      : value;
  }
  return encodeCbor({ format: COMPILED_FORMAT, ...packed });
}

/** What {@link packCompiled} wrote, or `undefined` when another version of this program wrote it. */
export function unpackCompiled(bytes: Uint8Array): CompiledPolicy | undefined {
  const packed = decodeCbor(bytes, "compiled policy", WIRE_LIMITS.policyDecodedBytesMax) as
    & Record<keyof CompiledPolicy, Uint8Array>
    & { readonly format: unknown; readonly version: number }
    & Pick<CompiledPolicy, "rights" | "levels">;
  if (packed.format !== COMPILED_FORMAT) return undefined;
  // Copies: CBOR byte strings are not aligned for wider elements.
  const buffer = (name: keyof CompiledPolicy) => new Uint8Array(packed[name]).buffer;
  return {
    version: packed.version,
    table: new Uint32Array(buffer("table")),
    keyOffsets: new Uint32Array(buffer("keyOffsets")),
    keys: new Uint8Array(buffer("keys")),
    credentialIds: new Uint32Array(buffer("credentialIds")),
    credentialActive: new Uint8Array(buffer("credentialActive")),
    credentialHolder: new Uint32Array(buffer("credentialHolder")),
    holderIds: new Uint32Array(buffer("holderIds")),
    holderActive: new Uint8Array(buffer("holderActive")),
    holderFromMs: new Float64Array(buffer("holderFromMs")),
    holderUntilMs: new Float64Array(buffer("holderUntilMs")),
    holderRights: new Uint32Array(buffer("holderRights")),
    rights: packed.rights,
    levels: packed.levels,
    schedules: new Uint32Array(buffer("schedules")),
    holidays: new Int32Array(buffer("holidays")),
  };
}
