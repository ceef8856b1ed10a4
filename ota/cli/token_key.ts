import { Buffer } from "node:buffer";
import { createHash, createPublicKey } from "node:crypto";
import { join } from "node:path";
import type { Key } from "@tufjs/models";
import { p256Key, RepositoryError, type RoleKey } from "../repository/mod.ts";

/** Where a key in a token is: RFC 7512. */
interface TokenUri {
  /** The token's label. */
  readonly token: string;
  /** The key's label in it. */
  readonly object: string;
  /** The maker's library. */
  readonly module: string;
}

const SCHEME = "pkcs11:";
/** What names a key here (RFC 7512, section 2.3); a PIN does not belong into a command line. */
const ATTRIBUTES: ReadonlySet<string> = new Set(["token", "object", "module-path"]);
const URI_CHARS_MAX = 1_024;
const PIN = "GATEHOUSE_PIN";
/** Of an ECDSA P-256 signature in DER. */
const SIGNATURE_BYTES_MAX = 72;

/** Whether a key is named by a token's URI, and not by a file. */
export function isTokenUri(name: string): boolean {
  return name.startsWith(SCHEME);
}

/**
 * Reads `pkcs11:token=LABEL;object=LABEL?module-path=FILE`. Values are percent-encoded.
 *
 * @throws {@link RepositoryError} `key`
 */
export function parseTokenUri(text: string): TokenUri {
  const wrong = (why: string) =>
    new RepositoryError(
      "key",
      `${text.slice(0, 100)}: ${why}; write pkcs11:token=LABEL;object=LABEL?module-path=FILE`,
    );
  if (text.length > URI_CHARS_MAX || !isTokenUri(text)) throw wrong("that is no token's key");
  const found = new Map<string, string>();
  for (const part of text.slice(SCHEME.length).split(/[;?&]/)) {
    const [name = "", ...rest] = part.split("=");
    if (!ATTRIBUTES.has(name)) throw wrong(`${name || "an empty part"} is not understood`);
    if (found.has(name)) throw wrong(`${name} is there twice`);
    try {
      found.set(name, decodeURIComponent(rest.join("=")));
    } catch {
      throw wrong(`${name} is not percent-encoded as it should be`);
    }
  }
  const need = (name: string) => {
    const value = found.get(name) ?? "";
    if (value === "") throw wrong(`${name} is missing`);
    return value;
  };
  return { token: need("token"), object: need("object"), module: need("module-path") };
}

/**
 * Makes an ECDSA P-256 key pair in a token; the secret half never leaves it. Never replaces one.
 * Not Ed25519: few tokens have it, and those want the whole message at once, which is too long for them.
 *
 * @throws {@link RepositoryError} `key`
 */
export async function newTokenKey(name: string, pin: string): Promise<Key> {
  const uri = parseTokenUri(name);
  if (await readPublic(uri) !== undefined) {
    throw new RepositoryError("key", `${name} is there already; a key is never overwritten`);
  }
  await tool(uri, pin, ["--keypairgen", "--key-type", "EC:prime256v1", "--label", uri.object]);
  return await publicOf(uri, name);
}

/** A key in a token, which signs for whoever knows its PIN. @throws {@link RepositoryError} `key` */
export async function openTokenKey(name: string, pin: string): Promise<RoleKey> {
  const uri = parseTokenUri(name);
  const key = await publicOf(uri, name);
  // A wrong PIN is told now, and not after a draft was read and changed.
  await signIn(uri, pin, new Uint8Array(1));
  return { key, sign: (bytes) => signIn(uri, pin, bytes) };
}

async function publicOf(uri: TokenUri, name: string): Promise<Key> {
  const found = await readPublic(uri);
  if (found === undefined) {
    throw new RepositoryError("key", `${name}: the token has no key of that name, or is not there`);
  }
  return found;
}

/** The public half, which a token shows without a PIN. */
async function readPublic(uri: TokenUri): Promise<Key | undefined> {
  return await inFolder(async (folder) => {
    const file = join(folder, "public");
    const args = [
      "--read-object",
      "--type",
      "pubkey",
      "--label",
      uri.object,
      "--output-file",
      file,
    ];
    try {
      await tool(uri, undefined, args);
      const read = await Deno.readFile(file);
      const isPem = read[0] === 0x2d;
      const key = createPublicKey(
        isPem ? Buffer.from(read) : { key: Buffer.from(read), format: "der", type: "spki" },
      );
      const { crv, x, y } = key.export({ format: "jwk" });
      if (crv !== "P-256") return undefined;
      const [left, right] = [x, y].map((part) => Buffer.from(part!, "base64url")) as [
        Buffer,
        Buffer,
      ];
      return p256Key(new Uint8Array(Buffer.concat([Buffer.of(4), left, right])));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) throw error;
      return undefined;
    }
  });
}

async function signIn(uri: TokenUri, pin: string, bytes: Uint8Array): Promise<Uint8Array> {
  return await inFolder(async (folder) => {
    const [message, signature] = [join(folder, "message"), join(folder, "signature")];
    await Deno.writeFile(message, createHash("sha256").update(bytes).digest());
    await tool(uri, pin, [
      ...["--sign", "--mechanism", "ECDSA", "--signature-format", "openssl", "--label", uri.object],
      ...["--input-file", message, "--output-file", signature],
    ]);
    const signed = await Deno.readFile(signature);
    if (signed.length > SIGNATURE_BYTES_MAX || signed[0] !== 0x30) {
      throw new RepositoryError("key", "what the token answers is no ECDSA signature");
    }
    return signed;
  });
}

/** OpenSC's tool, with the PIN in its environment: a command line is everybody's to read. */
async function tool(
  uri: TokenUri,
  pin: string | undefined,
  args: readonly string[],
): Promise<void> {
  const login = pin === undefined ? [] : ["--login", "--pin", `env:${PIN}`];
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command("pkcs11-tool", {
      args: ["--module", uri.module, "--token-label", uri.token, ...login, ...args],
      ...pin === undefined ? {} : { env: { [PIN]: pin } },
      stdin: "null",
    }).output();
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new RepositoryError("key", "pkcs11-tool is missing: apt-get install opensc", { cause });
  }
  if (output.success) return;
  const said = new TextDecoder().decode(output.stderr).trim().split("\n").slice(-2).join("; ");
  throw new RepositoryError(
    "key",
    `token ${uri.token}: ${said.slice(0, 300)}; is the PIN right, and is the token plugged in?`,
  );
}

async function inFolder<T>(act: (folder: string) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "gatehouse-token-" });
  try {
    return await act(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
