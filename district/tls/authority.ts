/**
 * The district's own certificates: a CA that boxes pin, and a leaf that the server shows. They are
 * two, since rustls refuses a CA as an end entity.
 *
 * @module
 */
import { randomBytes, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { join } from "node:path";
import { DistrictError } from "../errors.ts";
import { writeFileDurably } from "../../hal/mod.ts";
import { readTextIfThere } from "../files.ts";

/** Certificate and key of the server, and the CA that boxes pin; all PEM. */
export interface ServerCertificate {
  /** The leaf followed by its issuers. */
  readonly certPem: string;
  readonly keyPem: string;
  readonly caPem: string;
}

/** A box whose clock starts in 1970 must get through TLS before it can learn the time. */
const NOT_BEFORE = new Date("1970-01-01T00:00:00Z");
/** RFC 5280, section 4.1.2.5: "no well-defined expiration date". */
const NEVER = new Date("9999-12-31T23:59:59Z");
/** Clients that look at a leaf's end take no more than 825 days. */
const LEAF_DAYS = 800;
/** Renewed at a start within this of its end. */
const RENEW_DAYS = 200;
const DAY_MS = 24 * 3600 * 1000;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

const CA_FILE = "ca.pem";
const LEAF_FILE = "tls.pem";
/** No secret: the certificate alone. */
const PINNED_FILE = "pinned-ca.pem";

interface Pair {
  readonly certPem: string;
  readonly keyPem: string;
}

async function library() {
  // Its dependency injection wants this polyfill first. Both load only when something is made.
  await import("reflect-metadata");
  return await import("@peculiar/x509");
}

async function exportKey(key: CryptoKey): Promise<string> {
  const der = new Uint8Array(await crypto.subtle.exportKey("pkcs8", key));
  const lines = der.toBase64().match(/.{1,64}/g)!.join("\n");
  return `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`;
}

function importKey(pem: string): Promise<CryptoKey> {
  const der = Uint8Array.fromBase64(pem.replace(/-----[^-]+-----|\s/g, ""));
  return crypto.subtle.importKey("pkcs8", der, ALGORITHM, false, ["sign"]);
}

/** 16 random bytes, the first one not negative and not zero (RFC 5280, section 4.1.2.2). */
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString("hex");
}

async function makeAuthority(): Promise<Pair> {
  const x509 = await library();
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=Gatehouse district CA ${randomBytes(4).toString("hex")}`,
    notBefore: NOT_BEFORE,
    notAfter: NEVER,
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certPem: `${certificate.toString("pem")}\n`, keyPem: await exportKey(keys.privateKey) };
}

async function makeLeaf(
  authority: Pair,
  hosts: readonly string[],
  nowMs: number,
): Promise<Pair> {
  const x509 = await library();
  const issuer = new x509.X509Certificate(authority.certPem);
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: "CN=Gatehouse district",
    issuer: issuer.subject,
    notBefore: NOT_BEFORE,
    notAfter: new Date(nowMs + LEAF_DAYS * DAY_MS),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: await importKey(authority.keyPem),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        hosts.map((host) => ({
          type: isIP(host) === 0 ? "dns" as const : "ip" as const,
          value: host,
        })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return { certPem: `${certificate.toString("pem")}\n`, keyPem: await exportKey(keys.privateKey) };
}

/** Whether the leaf still serves: issued by this CA, for all these hosts, and not near its end. */
function leafServes(
  leafPem: string,
  caPem: string,
  hosts: readonly string[],
  nowMs: number,
): boolean {
  try {
    const leaf = new X509Certificate(leafPem);
    const covered = new Set(
      (leaf.subjectAltName ?? "").split(", ").map((name) => name.replace(/^(DNS|IP Address):/, "")),
    );
    const normal = (host: string) => host.includes(":") ? expandIpv6(host) : host.toLowerCase();
    const names = new Set([...covered].map(normal));
    return leaf.verify(new X509Certificate(caPem).publicKey) &&
      hosts.every((host) => names.has(normal(host))) &&
      Date.parse(leaf.validTo) - nowMs > RENEW_DAYS * DAY_MS;
  } catch {
    return false;
  }
}

/** Groups in full, as certificates print them in several ways. */
function expandIpv6(address: string): string {
  const [head = "", tail] = address.toLowerCase().split("::");
  const groups = (text: string) => text === "" ? [] : text.split(":");
  const [left, right] = [groups(head), groups(tail ?? "")];
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const all = [...left, ...Array<string>(Math.max(0, zeros)).fill("0"), ...right];
  return all.map((group) => Number.parseInt(group, 16).toString(16)).join(":");
}

/** Both halves in one file: one rename replaces them together. */
function readPair(path: string): Pair | undefined {
  const text = readTextIfThere(path);
  if (text === undefined) return undefined;
  const match = /^(-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n)(.+)$/s.exec(text);
  if (match === null || !match[2]!.includes("-----BEGIN PRIVATE KEY-----")) {
    throw new DistrictError("data", `${path}: expected a certificate and its key; restore it`);
  }
  return { certPem: match[1]!, keyPem: match[2]! };
}

function writePair(path: string, pair: Pair): void {
  writeFileDurably(path, pair.certPem + pair.keyPem);
}

async function ownAuthority(dataDir: string): Promise<Pair> {
  const path = join(dataDir, CA_FILE);
  let authority = readPair(path);
  if (authority === undefined) {
    authority = await makeAuthority();
    writePair(path, authority);
  }
  return authority;
}

/** The CA that tokens of this data folder pin: what the server last ran with, or its own. */
export async function pinnedAuthority(dataDir: string): Promise<string> {
  return readTextIfThere(join(dataDir, PINNED_FILE)) ?? (await ownAuthority(dataDir)).certPem;
}

/** Notes what the server runs with, for {@link pinnedAuthority} in another process. */
export function notePinned(dataDir: string, caPem: string): void {
  const path = join(dataDir, PINNED_FILE);
  if (readTextIfThere(path) !== caPem) writeFileDurably(path, caPem);
}

/**
 * The server's certificate for `hosts` (names and addresses): read from `dataDir`, made on the first
 * start, the leaf made anew when a host is missing in it or it comes near its end. The CA stays.
 *
 * @throws {@link DistrictError} `data` when a file there is not usable.
 */
export async function serverCertificate(
  dataDir: string,
  hosts: readonly string[],
  nowMs: number,
): Promise<ServerCertificate> {
  const authority = await ownAuthority(dataDir);
  let leaf = readPair(join(dataDir, LEAF_FILE));
  if (leaf === undefined || !leafServes(leaf.certPem, authority.certPem, hosts, nowMs)) {
    leaf = await makeLeaf(authority, hosts, nowMs);
    writePair(join(dataDir, LEAF_FILE), leaf);
  }
  return {
    certPem: leaf.certPem + authority.certPem,
    keyPem: leaf.keyPem,
    caPem: authority.certPem,
  };
}
