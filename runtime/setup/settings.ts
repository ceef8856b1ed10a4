import { isIP } from "node:net";
import * as v from "valibot";
import { parse, stringify } from "yaml";

/** How the settings file of a card begins; what follows it is YAML, or nothing. */
export const SETUP_HEAD = "# gatehouse-setup v1\n";
/** The length of the file, always: it is overwritten in place, without touching a file system. */
export const SETUP_BYTES: number = 64 << 10;

/** Settings that are not good; the message names the field and says what is expected. */
export class SetupError extends Error {
  /** Says what is wrong. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "SetupError";
  }
}

const line = (most: number) =>
  v.pipe(
    v.string("expected text"),
    v.minLength(1, "expected text"),
    v.maxLength(most, `expected at most ${most} characters`),
    // deno-lint-ignore no-control-regex -- one that a configuration file could be broken with
    v.regex(/^[^\u0000-\u001f\u007f]*$/, "expected one line without control characters"),
  );
const address = v.pipe(
  v.string("expected an IP address"),
  v.check((text) => isIP(text) !== 0, "expected an IP address such as 10.1.2.3"),
);
const host = v.pipe(
  v.string("expected a host"),
  v.regex(/^[A-Za-z0-9.:-]{1,253}$/, "expected a host or an address"),
);
const network = v.pipe(
  v.string("expected an address with the length of its prefix"),
  v.check((text) => {
    const [ip = "", prefix = "", ...more] = text.split("/");
    const kind = isIP(ip);
    return kind !== 0 && more.length === 0 && /^\d{1,3}$/.test(prefix) &&
      Number(prefix) <= (kind === 4 ? 32 : 128);
  }, "expected an address with the length of its prefix, such as 10.1.2.3/24"),
);
const url = (protocols: readonly string[]) =>
  v.pipe(
    line(500),
    v.check(
      (text) => URL.canParse(text) && protocols.includes(new URL(text).protocol),
      `expected an address that begins with ${protocols.map((one) => `${one}//`).join(" or ")}`,
    ),
  );

const certificate = v.pipe(
  v.string(),
  v.maxLength(16_384),
  v.regex(/^-----BEGIN CERTIFICATE-----\n/, "expected a certificate in PEM"),
);

const NetworkSchema = v.strictObject({
  /** With its prefix; without it by DHCP. */
  address: v.exactOptional(network),
  gateway: v.exactOptional(address),
  dns: v.exactOptional(v.pipe(v.array(address), v.maxLength(4, "expected at most 4"))),
  ntp: v.exactOptional(v.pipe(v.array(host), v.maxLength(4, "expected at most 4"))),
  /** Servers of authenticated time (RFC 8915): nobody else is believed then. */
  nts: v.exactOptional(v.strictObject({
    servers: v.pipe(
      v.array(host),
      v.minLength(1, "expected at least 1"),
      v.maxLength(4, "expected at most 4"),
    ),
    /** Certificate of who signs the servers', in PEM; without it a public one's. */
    ca: v.exactOptional(certificate),
  })),
  wifi: v.exactOptional(v.strictObject({
    ssid: line(32),
    /** Two letters: which channels may be used. */
    country: v.pipe(v.string(), v.regex(/^[A-Z]{2}$/, "expected two letters such as CN")),
    /** WPA's, 8 to 63 characters; without it the net is open, or `login` says who this is. */
    passphrase: v.exactOptional(v.pipe(
      v.string(),
      v.regex(/^[ -~]{8,63}$/, "expected 8 to 63 ASCII characters"),
    )),
  })),
  /** 802.1X, on the wire or in the air. */
  login: v.exactOptional(v.strictObject({
    identity: line(253),
    password: line(253),
    /** Certificate of who signs the login server's, in PEM. */
    ca: v.exactOptional(certificate),
  })),
  /** For what goes to the district. */
  proxy: v.exactOptional(url(["http:"])),
});

const SetupSchema: v.GenericSchema<unknown, Setup> = v.strictObject({
  box: v.strictObject({
    /** Also its name on the network, `NAME.local`. */
    name: v.pipe(
      v.string("expected a name"),
      v.regex(
        /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
        "expected a name of a-z, 0-9 and -, such as east-gate",
      ),
    ),
    school: v.exactOptional(line(100)),
  }),
  network: v.optional(NetworkSchema, {}),
  district: v.exactOptional(v.strictObject({
    url: url(["https:"]),
    /** Gone from the card once it was used. */
    token: v.exactOptional(v.pipe(
      v.string("expected a token; write it in quotes"),
      v.regex(/^[A-Za-z0-9._~+/=-]{8,1024}$/, "expected a token from the district's console"),
    )),
  })),
  /** A whole `box.yaml`, for a box that has none yet. */
  config: v.exactOptional(v.pipe(v.string("expected the text of a box.yaml"), v.maxLength(49_152))),
});

/** How a box gets onto its network. */
export interface SetupNetwork {
  /** With the length of its prefix; without it by DHCP. */
  readonly address?: string;
  readonly gateway?: string;
  readonly dns?: readonly string[];
  readonly ntp?: readonly string[];
  /** Servers of authenticated time (RFC 8915): nobody else is believed then. */
  readonly nts?: { readonly servers: readonly string[]; readonly ca?: string };
  readonly wifi?: { readonly ssid: string; readonly country: string; readonly passphrase?: string };
  /** 802.1X, on the wire or in the air. */
  readonly login?: { readonly identity: string; readonly password: string; readonly ca?: string };
  /** For what goes to the district. */
  readonly proxy?: string;
}

/** What an installer tells a box before its first start. */
export interface Setup {
  readonly box: { readonly name: string; readonly school?: string };
  readonly network: SetupNetwork;
  readonly district?: { readonly url: string; readonly token?: string };
  /** A whole `box.yaml`, for a box that has none yet. */
  readonly config?: string;
}

/**
 * Reads settings, called `file` in messages. No message ever shows a value: there are secrets in it.
 *
 * @returns `undefined` when a card has none: the head alone.
 * @throws {@link SetupError}
 */
export function parseSetup(text: string, file: string): Setup | undefined {
  if (new TextEncoder().encode(text).length > SETUP_BYTES) {
    throw new SetupError(
      `${file}: more than ${SETUP_BYTES} bytes; delete the spaces at its end`,
    );
  }
  let raw: unknown;
  try {
    raw = parse(text, { maxAliasCount: 10, prettyErrors: false, logLevel: "error" });
  } catch {
    throw new SetupError(`${file}: it is not YAML; compare it with docs/installer/flash.md`);
  }
  if (raw === null || raw === undefined) return undefined;
  const result = v.safeParse(SetupSchema, raw);
  if (!result.success) {
    const [issue] = result.issues;
    const field = v.getDotPath(issue) ?? "the file";
    const what = issue.expected === "never"
      ? "this field is not known here; remove it or mend its name"
      : issue.received === "undefined"
      ? "this field is missing"
      : issue.message.replace(/,? ?but received.*$/i, "").replace(/^Invalid.*$/, "not as expected");
    throw new SetupError(`${file}: ${field}: ${what}`);
  }
  const { network } = result.output;
  if (network.gateway !== undefined && network.address === undefined) {
    throw new SetupError(`${file}: network.gateway: it goes with network.address`);
  }
  if (network.ntp !== undefined && network.nts !== undefined) {
    throw new SetupError(`${file}: network.ntp: it is not believed beside network.nts; remove one`);
  }
  if (network.wifi?.passphrase !== undefined && network.login !== undefined) {
    throw new SetupError(`${file}: network.login: a net has a passphrase or a login, not both`);
  }
  return result.output;
}

/** The bytes of a card's settings file: always {@link SETUP_BYTES}. @throws {@link SetupError} */
export function renderSetup(setup: Setup | undefined): Uint8Array<ArrayBuffer> {
  // The end is marked: the spaces after it would belong to a text of several lines.
  const text = SETUP_HEAD +
    (setup === undefined ? "" : `${stringify(setup, { lineWidth: 0 })}...
`);
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > SETUP_BYTES) {
    throw new SetupError(
      `the settings have ${bytes.length} bytes, a card has room for ${SETUP_BYTES}`,
    );
  }
  // Lines of 64, so that a person who opens the file sees something that ends.
  const whole = new Uint8Array(SETUP_BYTES).fill(0x20);
  for (let at = 63; at < SETUP_BYTES; at += 64) if (at >= bytes.length) whole[at] = 0x0a;
  whole.set(bytes);
  return whole;
}
