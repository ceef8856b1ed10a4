import { zstdCompressSync } from "node:zlib";
import { encodeCbor, parsePolicy, WIRE_LIMITS } from "../../sync/wire/mod.ts";
import { DistrictError } from "../errors.ts";

/**
 * The document of a policy without its `schema`: checked as a box will check it, then CBOR and zstd.
 *
 * @throws {@link DistrictError} `invalid` when no box would take it.
 */
export function compilePolicy(parts: object): Uint8Array<ArrayBuffer> {
  const policy = parsePolicy({ schema: 1, ...parts });
  const bytes = encodeCbor(policy);
  const document = new Uint8Array(zstdCompressSync(bytes));
  if (
    bytes.length > WIRE_LIMITS.policyDecodedBytesMax || document.length > WIRE_LIMITS.policyBytesMax
  ) {
    throw new DistrictError(
      "invalid",
      `a policy of ${document.length} bytes is more than boxes take`,
    );
  }
  return document;
}
