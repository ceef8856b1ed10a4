/**
 * Policy compiled for decisions: flat typed arrays, so that 200,000 credentials take about 13 MB,
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

/** Words of one slot of {@link CompiledPolicy.table}: credential index + 1, hash of its key. */
const SLOT_WORDS = 2;
/** Words of one credential. */
export const CREDENTIAL: {
  readonly words: 4;
  /** Start of its key in `keys`. */
  readonly keyOffset: 0;
  readonly keyLength: 1;
  /** `Credential.id`. */
  readonly id: 2;
  /** Index of its holder, shifted left by one; the lowest bit says whether it is active. */
  readonly holderAndActive: 3;
} = { words: 4, keyOffset: 0, keyLength: 1, id: 2, holderAndActive: 3 };
/** Words of one cardholder. */
export const HOLDER: {
  readonly words: 2;
  /** `Cardholder.id`. */
  readonly id: 0;
  /** Index into `rights`, shifted left by two; bit 1 says whether it has a span, bit 0 whether it is active. */
  readonly rightsAndFlags: 1;
} = { words: 2, id: 0, rightsAndFlags: 1 };

/**
 * A policy ready to be bound to the doors of a box. What one tap needs stands side by side: with
 * 200,000 cards each other place is a miss of the processor's cache.
 */
export interface CompiledPolicy {
  readonly version: number;
  readonly credentialCount: number;
  /** Open-addressing table of slots (see above); the number of slots is a power of two. */
  readonly table: Uint32Array<ArrayBuffer>;
  /** {@link CREDENTIAL} records. */
  readonly credentials: Uint32Array<ArrayBuffer>;
  /** Card keys, one behind the other. */
  readonly keys: Uint8Array<ArrayBuffer>;
  /** {@link HOLDER} records. */
  readonly holders: Uint32Array<ArrayBuffer>;
  /** Pairs of start and end of a cardholder's validity, ms since 1970, ±Infinity where open; the end is outside. */
  readonly spans: Float64Array<ArrayBuffer>;
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

  const { holders, spans, rights } = compileHolders(policy, levelIndex);
  return {
    version,
    credentialCount: policy.credentials.length,
    ...compileCredentials(policy, holderIndex),
    holders,
    spans,
    rights,
    levels,
    schedules: compileSchedules(policy.schedules),
    holidays: new Int32Array(policy.holidays.flatMap((h) => [epochDay(h.from), epochDay(h.to)])),
  };
}

function compileHolders(policy: Policy, levelIndex: ReadonlyMap<string, number>) {
  const holders = new Uint32Array(policy.cardholders.length * HOLDER.words);
  const spans = new Float64Array(policy.cardholders.length * 2);
  const rights: number[][] = [];
  const rightsIndex = new Map<string, number>();
  for (const [position, holder] of policy.cardholders.entries()) {
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
    const { validFromMs = -Infinity, validUntilMs = Infinity } = holder;
    const spanned = validFromMs > -Infinity || validUntilMs < Infinity;
    spans.set([validFromMs, validUntilMs], position * 2);
    holders[position * HOLDER.words + HOLDER.id] = holder.id;
    holders[position * HOLDER.words + HOLDER.rightsAndFlags] = right << 2 |
      (spanned ? 2 : 0) | (holder.active ? 1 : 0);
  }
  return { holders, spans, rights };
}

function compileCredentials(policy: Policy, holderIndex: ReadonlyMap<number, number>) {
  const count = policy.credentials.length;
  let slots = 4;
  while (slots < count * 2) slots *= 2;
  const table = new Uint32Array(slots * SLOT_WORDS);
  const credentials = new Uint32Array(count * CREDENTIAL.words);
  const keys = new Uint8Array(policy.credentials.reduce((sum, c) => sum + 1 + c.hex.length / 2, 0));
  const compiled = { table, credentials, keys };
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
    const other = findCredential(compiled, key);
    if (other >= 0) {
      throw new PolicyError(
        `credentials ${credentials[other * CREDENTIAL.words + CREDENTIAL.id]} and ` +
          `${credential.id} are the same card (${credential.bits} bits ${credential.hex}); ` +
          `remove one`,
      );
    }
    keys.set(key, offset);
    const record = [0, 0, 0, 0];
    record[CREDENTIAL.keyOffset] = offset;
    record[CREDENTIAL.keyLength] = key.length;
    record[CREDENTIAL.id] = credential.id;
    record[CREDENTIAL.holderAndActive] = holder << 1 | (credential.active ? 1 : 0);
    credentials.set(record, position * CREDENTIAL.words);
    offset += key.length;
    const hash = hashCardKey(key, 0, key.length);
    let slot = hash & (slots - 1);
    while (table[slot * SLOT_WORDS] !== 0) slot = (slot + 1) & (slots - 1);
    table[slot * SLOT_WORDS] = position + 1;
    table[slot * SLOT_WORDS + 1] = hash;
  }
  return compiled;
}

/** Index of the credential with `key`, or −1. */
export function findCredential(
  policy: Pick<CompiledPolicy, "table" | "credentials" | "keys">,
  key: Uint8Array,
): number {
  const { table, credentials, keys } = policy;
  const mask = table.length / SLOT_WORDS - 1;
  const hash = hashCardKey(key, 0, key.length);
  let slot = hash & mask;
  for (;;) {
    const entry = table[slot * SLOT_WORDS]!;
    if (entry === 0) return -1;
    if (table[slot * SLOT_WORDS + 1] === hash) {
      const record = (entry - 1) * CREDENTIAL.words;
      const from = credentials[record + CREDENTIAL.keyOffset]!;
      const length = credentials[record + CREDENTIAL.keyLength]!;
      let same = length === key.length;
      for (let index = 0; same && index < length; index++) same = keys[from + index] === key[index];
      if (same) return entry - 1;
    }
    slot = (slot + 1) & mask;
  }
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
    & { readonly format: unknown; readonly version: number; readonly credentialCount: number }
    & Pick<CompiledPolicy, "rights" | "levels">;
  if (packed.format !== COMPILED_FORMAT) return undefined;
  // Copies: CBOR byte strings are not aligned for wider elements.
  const buffer = (name: keyof CompiledPolicy) => new Uint8Array(packed[name]).buffer;
  return {
    version: packed.version,
    credentialCount: packed.credentialCount,
    table: new Uint32Array(buffer("table")),
    credentials: new Uint32Array(buffer("credentials")),
    keys: new Uint8Array(buffer("keys")),
    holders: new Uint32Array(buffer("holders")),
    spans: new Float64Array(buffer("spans")),
    rights: packed.rights,
    levels: packed.levels,
    schedules: new Uint32Array(buffer("schedules")),
    holidays: new Int32Array(buffer("holidays")),
  };
}
