/**
 * What a publisher says of a payload, in the `custom` part of its TUF target. Shared by box and
 * district.
 *
 * @module
 */
import * as v from "valibot";

/** Shape of this file's words; a box refuses what it does not know. */
const SCHEMA = 1;
const version = v.pipe(
  v.string(),
  v.regex(/^\d{1,5}\.\d{1,5}\.\d{1,5}(-[0-9a-z.]{1,32})?$/, "expected a version such as 1.2.3"),
);
const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, "expected a SHA-256 in hex"));
const bytes = (max: number) => v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(max));
/** An application unpacks to some 20 MB; a hundred times as much fills a card. */
const UNPACKED_BYTES_MAX = 2 * 1024 ** 3;
/** Deltas from the last three versions, with room. */
const DELTAS_MAX = 8;

const AppReleaseSchema = v.strictObject({
  schema: v.literal(SCHEMA),
  kind: v.literal("app"),
  version,
  arch: v.picklist(["x64", "arm64", "any"]),
  /** When it was made, in ms since 1970: raises a box's time floor. */
  releasedMs: v.pipe(v.number(), v.integer(), v.minValue(0)),
  /** The tar inside the target, before compression. */
  tar: v.strictObject({ bytes: bytes(UNPACKED_BYTES_MAX), sha256 }),
  /** Shorter ways to the same tar, each from another tar that a box may have. */
  deltas: v.pipe(
    v.array(v.strictObject({ fromSha256: sha256, path: v.pipe(v.string(), v.maxLength(255)) })),
    v.maxLength(DELTAS_MAX),
  ),
});

/** A delta to a tar: `zstd --patch-from` of the tar with hash `fromSha256`; itself a TUF target. */
export interface AppDelta {
  readonly fromSha256: string;
  readonly path: string;
}

/** A release of the application. */
export interface AppRelease {
  readonly schema: 1;
  readonly kind: "app";
  readonly version: string;
  readonly arch: "x64" | "arm64" | "any";
  readonly releasedMs: number;
  readonly tar: { readonly bytes: number; readonly sha256: string };
  readonly deltas: readonly AppDelta[];
}

/** Reads the `custom` part of an application's target. @throws a `ValiError` naming the field. */
export function parseAppRelease(raw: unknown): AppRelease {
  return v.parse(AppReleaseSchema, raw);
}

const FirmwareReleaseSchema = v.strictObject({
  schema: v.literal(SCHEMA),
  kind: v.literal("firmware"),
  /** What a reader says of its firmware once it has it: OSDP's `major.minor.build`. */
  version: v.pipe(v.string(), v.regex(/^\d{1,3}\.\d{1,3}\.\d{1,3}$/, "expected such as 1.5.0")),
  /** The maker's IEEE OUI in hex, as PDID has it. */
  vendor: v.pipe(v.string(), v.regex(/^[0-9a-f]{6}$/, "expected an OUI of six hex digits")),
  model: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(255)),
  /** OSDP's file type. */
  fileType: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(255)),
  /** When it was made, in ms since 1970. */
  releasedMs: v.pipe(v.number(), v.integer(), v.minValue(0)),
});

/** Firmware for one model of reader. */
export interface FirmwareRelease {
  readonly schema: 1;
  readonly kind: "firmware";
  readonly version: string;
  readonly vendor: string;
  readonly model: number;
  readonly fileType: number;
  readonly releasedMs: number;
}

/** Reads the `custom` part of a reader's firmware. @throws a `ValiError` naming the field. */
export function parseFirmwareRelease(raw: unknown): FirmwareRelease {
  return v.parse(FirmwareReleaseSchema, raw);
}

const ConfigReleaseSchema = v.strictObject({
  schema: v.literal(SCHEMA),
  kind: v.literal("config"),
  version,
  /** When it was made, in ms since 1970. */
  releasedMs: v.pipe(v.number(), v.integer(), v.minValue(0)),
});

/** A bundle with the configurations of boxes. */
export interface ConfigRelease {
  readonly schema: 1;
  readonly kind: "config";
  readonly version: string;
  readonly releasedMs: number;
}

/** Reads the `custom` part of a bundle of configurations. @throws a `ValiError` naming the field. */
export function parseConfigRelease(raw: unknown): ConfigRelease {
  return v.parse(ConfigReleaseSchema, raw);
}

const PolicyReleaseSchema = v.strictObject({
  schema: v.literal(SCHEMA),
  kind: v.literal("policy"),
  version,
  /** Whose boxes it is for. */
  district: v.pipe(v.string(), v.regex(/^[a-z0-9-]{1,32}$/, "expected a district such as north")),
  /** When it was made, in ms since 1970. */
  releasedMs: v.pipe(v.number(), v.integer(), v.minValue(0)),
});

/** Settings of a district's policy. */
export interface PolicyRelease {
  readonly schema: 1;
  readonly kind: "policy";
  readonly version: string;
  readonly district: string;
  readonly releasedMs: number;
}

/** Reads the `custom` part of a policy's settings. @throws a `ValiError` naming the field. */
export function parsePolicyRelease(raw: unknown): PolicyRelease {
  return v.parse(PolicyReleaseSchema, raw);
}

/** A CMS signature with its certificates has some kilobytes. */
const SIGNATURE_BYTES_MAX = 64 << 10;

const ImageReleaseSchema = v.strictObject({
  schema: v.literal(SCHEMA),
  kind: v.literal("os"),
  version,
  compatible: v.pipe(v.string(), v.regex(/^[a-z0-9-]{1,64}$/)),
  /** When it was made, in ms since 1970: raises a box's time floor. */
  releasedMs: v.pipe(v.number(), v.integer(), v.minValue(0)),
  /**
   * The bundle's end: RAUC's signed manifest with the root of the hash tree over all that stands
   * before it, then its length in 8 bytes.
   */
  tail: v.strictObject({ bytes: bytes(SIGNATURE_BYTES_MAX), sha256 }),
});

/** A release of the system: a RAUC bundle in the format `verity`. */
export interface ImageRelease {
  readonly schema: 1;
  readonly kind: "os";
  readonly version: string;
  /** The machines that it is for, as `/usr/lib/gatehouse-image.json` names them. */
  readonly compatible: string;
  readonly releasedMs: number;
  readonly tail: { readonly bytes: number; readonly sha256: string };
}

/** Reads the `custom` part of a system's target. @throws a `ValiError` naming the field. */
export function parseImageRelease(raw: unknown): ImageRelease {
  return v.parse(ImageReleaseSchema, raw);
}
