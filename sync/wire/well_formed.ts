/** Why bytes are not taken as CBOR; `undefined` when they are. */
export type CborFault = string | undefined;

/** A policy, the deepest message there is, has 7 levels. */
const DEPTH_MAX = 16;

/** Items still to come in each open container; in a map, keys and values. Made once: a walk never waits. */
const open = new Float64Array(DEPTH_MAX);
/** Which of them are maps. */
const isMap = new Uint8Array(DEPTH_MAX);

/**
 * Walks CBOR (RFC 8949) without building anything, and says what is wrong with it.
 *
 * Taken is what Gatehouse writes: definite lengths, text keys, no tags, at most 16 levels, one item
 * and nothing after it. A container may not announce more items than bytes are left over all, so
 * that whoever builds the value allocates in proportion to what came in. `cbor-x` by itself gives an
 * array of a million slots for each five bytes that ask for one.
 */
export function cborFault(bytes: Uint8Array): CborFault {
  const end = bytes.length;
  let depth = 0;
  let at = 0;
  /** Items still to come in all. */
  let owed = 1;
  while (owed > 0) {
    if (owed > end - at) return "truncated";
    const head = bytes[at++]!;
    const major = head >> 5;
    const info = head & 31;
    const mustBeKey = depth > 0 && isMap[depth - 1] === 1 && open[depth - 1]! % 2 === 0;
    if (mustBeKey && major !== 3) return "a map's key is not text";
    owed--;
    if (depth > 0) open[depth - 1]!--;
    let value = info;
    if (info >= 24) {
      if (info > 27) return info === 31 ? "indefinite length" : "reserved head";
      const size = 1 << (info - 24);
      if (size > end - at) return "truncated";
      if (major < 6) {
        value = 0;
        for (let i = 0; i < size; i++) value = value * 256 + bytes[at + i]!;
      }
      at += size;
    }
    switch (major) {
      case 2:
      case 3:
        if (value > end - at) return "truncated";
        at += value;
        break;
      case 4:
      case 5: {
        const items = major === 5 ? value * 2 : value;
        owed += items;
        if (owed > end - at) return "truncated";
        if (items === 0) break;
        if (depth === DEPTH_MAX) return `more than ${DEPTH_MAX} levels`;
        open[depth] = items;
        isMap[depth] = major === 5 ? 1 : 0;
        depth++;
        break;
      }
      case 6:
        return "tagged";
      case 7:
        // false, true, null, undefined; half, single and double precision
        if (info < 20 || info === 24) return "unassigned simple value";
        break;
      default: // integers
    }
    while (depth > 0 && open[depth - 1] === 0) depth--;
  }
  return at < end ? "something follows it" : undefined;
}
