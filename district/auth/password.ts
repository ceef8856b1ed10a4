import { Buffer } from "node:buffer";
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { DistrictError } from "../errors.ts";

/** What a hash costs. */
export interface PasswordCost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/** OWASP's parameters of scrypt for 32 MiB: three passes, some 0.2 s. */
const COST: PasswordCost = { N: 2 ** 15, r: 8, p: 3 };
/** `128 N r` bytes are needed, and a little. */
const MEMORY_BYTES_MAX = 64 << 20;
const KEY_BYTES = 32;
const SALT_BYTES = 16;
/** Hashing at once takes 32 MiB each; waiting ones take nothing. */
const RUNNING_MAX = 2;
const WAITING_MAX = 32;

const STORED = /^scrypt\$(\d+)\$(\d+)\$(\d+)\$([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+)$/;

/** Hashes and checks passwords with scrypt, a few at a time. */
export class PasswordHasher {
  readonly #cost: PasswordCost;
  #running = 0;
  readonly #waiting: (() => void)[] = [];
  #decoy: Promise<string> | undefined;

  /** New hashes get `cost`; stored ones are checked with their own. */
  constructor(cost: PasswordCost = COST) {
    this.#cost = cost;
  }

  /** What to store for `password`. @throws {@link DistrictError} `busy` */
  async hash(password: string): Promise<string> {
    const salt = randomBytes(SALT_BYTES);
    const key = await this.#derive(password, salt, this.#cost);
    const { N, r, p } = this.#cost;
    return `scrypt$${N}$${r}$${p}$${salt.toString("base64")}$${key.toString("base64")}`;
  }

  /**
   * Whether `password` is the one of `stored`. Takes as long for `undefined` (no such operator), so
   * that names cannot be told by the time. @throws {@link DistrictError} `busy`
   */
  async matches(password: string, stored: string | undefined): Promise<boolean> {
    this.#decoy ??= this.hash(randomBytes(SALT_BYTES).toString("hex"));
    const match = STORED.exec(stored ?? await this.#decoy);
    if (match === null) throw new DistrictError("data", "a stored password hash is malformed");
    const [N, r, p] = match.slice(1, 4).map(Number) as [number, number, number];
    const expected = Buffer.from(match[5]!, "base64");
    const key = await this.#derive(password, Buffer.from(match[4]!, "base64"), { N, r, p });
    return timingSafeEqual(key, expected) && stored !== undefined;
  }

  async #derive(
    password: string,
    salt: Uint8Array,
    parameters: PasswordCost,
  ): Promise<Buffer> {
    if (this.#running >= RUNNING_MAX) {
      if (this.#waiting.length >= WAITING_MAX) {
        throw new DistrictError("busy", "too many log-ins at once; try again in a minute");
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#running++;
    try {
      return await new Promise<Buffer>((resolve, reject) =>
        scrypt(
          // The same characters typed on two keyboards may be composed differently.
          password.normalize("NFKC"),
          salt,
          KEY_BYTES,
          { ...parameters, maxmem: MEMORY_BYTES_MAX },
          (error, key) => error ? reject(error) : resolve(key),
        )
      );
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }
}

/** A password that nobody guesses and anybody can type: 20 letters and digits without look-alikes. */
export function randomPassword(): string {
  const alphabet = "abcdefghjkmnpqrstuvwxyz23456789";
  let password = "";
  while (password.length < 20) {
    const byte = randomBytes(1)[0]!;
    // Bytes beyond a whole number of alphabets would favour its start.
    if (byte < 256 - 256 % alphabet.length) password += alphabet[byte % alphabet.length];
  }
  return password.match(/.{5}/g)!.join("-");
}
