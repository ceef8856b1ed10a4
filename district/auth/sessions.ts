import { Buffer } from "node:buffer";
import { createHash, randomBytes } from "node:crypto";
import type { Clock } from "../../hal/mod.ts";
import type { OperatorStore } from "../store/contract.ts";
import type { PasswordHasher } from "./password.ts";
import { RateLimit } from "./rate_limit.ts";

/** A session ends this long after its last use: one working day. */
export const SESSION_MS = 12 * 3600 * 1000;
/** A use is written down at most this often. */
const EXTEND_MS = 60_000;
const TOKEN_BYTES = 32;
const TOKEN = /^[A-Za-z0-9_-]{43}$/;
/** A school's people may share one address; a guesser needs far more. */
const BY_ADDRESS = { attempts: 30, spanMs: 5 * 60_000 } as const;
/** Ten wrong ones for a name within five minutes, wherever they come from. */
const BY_NAME = { attempts: 10, spanMs: 5 * 60_000 } as const;

/** How a log-in ended. */
export type LoginOutcome =
  | { readonly kind: "ok"; readonly token: string }
  | { readonly kind: "wrong" }
  | { readonly kind: "limited"; readonly waitMs: number };

/** Who makes a request. */
export interface CurrentSession {
  readonly username: string;
  readonly tokenHash: Uint8Array;
}

/** Log-in, and who is logged in. */
export class Sessions {
  readonly #store: OperatorStore;
  readonly #clock: Clock;
  readonly #hasher: PasswordHasher;
  readonly #byAddress = new RateLimit(BY_ADDRESS.attempts, BY_ADDRESS.spanMs);
  readonly #byName = new RateLimit(BY_NAME.attempts, BY_NAME.spanMs);

  /** Keeps sessions in `store`, by the hash of their token alone. */
  constructor(store: OperatorStore, clock: Clock, hasher: PasswordHasher) {
    this.#store = store;
    this.#clock = clock;
    this.#hasher = hasher;
  }

  /** Checks a password; counted before it is checked, so that guesses in parallel count too. */
  async login(username: string, password: string, address: string): Promise<LoginOutcome> {
    const monotonicMs = this.#clock.monotonicMs();
    const name = username.toLowerCase();
    const waitMs = Math.max(
      this.#byAddress.attempt(address, monotonicMs),
      this.#byName.attempt(name, monotonicMs),
    );
    if (waitMs > 0) return { kind: "limited", waitMs };
    const stored = await this.#store.passwordHash(username);
    if (!await this.#hasher.matches(password, stored)) return { kind: "wrong" };
    this.#byAddress.forgive(address);
    this.#byName.forgive(name);
    const token = randomBytes(TOKEN_BYTES).toString("base64url");
    const nowMs = this.#clock.wallMs();
    await this.#store.addSession(hashOf(token), { username, expiresMs: nowMs + SESSION_MS }, nowMs);
    return { kind: "ok", token };
  }

  /** Whose session `token` is; using it prolongs it. */
  async current(token: string | undefined): Promise<CurrentSession | undefined> {
    if (token === undefined || !TOKEN.test(token)) return undefined;
    const tokenHash = hashOf(token);
    const nowMs = this.#clock.wallMs();
    const session = await this.#store.session(tokenHash, nowMs);
    if (session === undefined) return undefined;
    if (session.expiresMs < nowMs + SESSION_MS - EXTEND_MS) {
      await this.#store.extendSession(tokenHash, nowMs + SESSION_MS);
    }
    return { username: session.username, tokenHash };
  }

  /** Whether a session is still there, without prolonging it. */
  async alive(session: CurrentSession): Promise<boolean> {
    return await this.#store.session(session.tokenHash, this.#clock.wallMs()) !== undefined;
  }

  /** Ends a session. */
  async logout(session: CurrentSession): Promise<void> {
    await this.#store.endSession(session.tokenHash);
  }
}

function hashOf(token: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(Buffer.from(token)).digest());
}
