import { randomBytes, timingSafeEqual } from "node:crypto";
import type { Clock } from "../../hal/mod.ts";
import { HttpSignatureError, NonceMemory, verifyRequest } from "../../sync/wire/mod.ts";
import { RateLimit } from "../auth/rate_limit.ts";
import { readBody } from "../body.ts";
import { tokenHashOf } from "../rollouts/updates.ts";
import type { BoxRow, ControllerRow, RolloutStore } from "../store/contract.ts";
import { Refusal } from "./refusal.ts";

/** What tells clients apart needs. */
export interface AuthenticatorHost {
  readonly rollouts: RolloutStore;
  /** An enrolled box. */
  readonly box: (id: string) => Promise<BoxRow | undefined>;
  readonly clock: Clock;
}

/** Who calls, and the body of the call where it had to be read to know that. */
export interface Caller {
  readonly controller: ControllerRow;
  readonly body?: Uint8Array;
}

/** A failure's log lines; attributes are smaller. */
export const BODY = { bytesMax: 256 << 10, timeoutMs: 15_000 } as const;
/** Wrong tokens and signatures from one address: enough for a school whose boxes were all set up wrongly. */
const WRONG = { attempts: 60, spanMs: 60_000 } as const;
/** Calls of one device: one that has run wild keeps nobody else waiting. */
const CALLS = { attempts: 600, spanMs: 60_000 } as const;
/** Parts of published files: a system is read in ranges of some kilobytes, thousands of them. */
const PARTS = { attempts: 12_000, spanMs: 60_000 } as const;
const ID = /^[A-Za-z0-9._:@-]{1,64}$/;
const TOKEN = /^TargetToken ([A-Za-z0-9._~+/=-]{1,200})$/i;

/**
 * Knows who calls: a device by its target token, as hawkBit has it, or an enrolled box by the
 * signature that it puts under all its calls (RFC 9421). A box needs no token: it becomes a
 * controller with its first call.
 */
export class Authenticator {
  readonly #host: AuthenticatorHost;
  readonly #nonces = new NonceMemory();
  readonly #wrong = new RateLimit(WRONG.attempts, WRONG.spanMs);
  readonly #calls = new RateLimit(CALLS.attempts, CALLS.spanMs);
  readonly #parts = new RateLimit(PARTS.attempts, PARTS.spanMs);

  /** Knows nobody yet. */
  constructor(host: AuthenticatorHost) {
    this.#host = host;
  }

  /**
   * Who calls as `id`. The same answer for a stranger and for a wrong token: ids are no secret,
   * which exist is. `isPart`: it asks for a part of a published file.
   *
   * @throws {@link Refusal} 401 or 429
   */
  async caller(
    id: string,
    request: Request,
    address: string,
    isPart: boolean,
  ): Promise<Caller> {
    const isSigned = request.headers.has("signature-input");
    const caller = isSigned
      ? await this.#bySignature(id, request)
      : await this.#byToken(id, request);
    const nowMs = this.#host.clock.monotonicMs();
    const isRight = !(caller instanceof Refusal);
    const calls = isPart ? this.#parts : this.#calls;
    const waitMs = isRight ? calls.attempt(id, nowMs) : this.#wrong.attempt(address, nowMs);
    if (isRight && waitMs === 0) return caller;
    if (!request.bodyUsed) await request.body?.cancel();
    if (waitMs > 0) {
      const what = isRight ? "calls" : isSigned ? "wrong signatures" : "wrong tokens";
      const seconds = String(Math.ceil(waitMs / 1000));
      throw new Refusal(429, `too many ${what}; wait`, { "retry-after": seconds });
    }
    throw caller;
  }

  async #byToken(id: string, request: Request): Promise<Caller | Refusal> {
    const token = TOKEN.exec(request.headers.get("authorization") ?? "")?.[1];
    const controller = ID.test(id) && token !== undefined
      ? await this.#host.rollouts.controller(id)
      : undefined;
    const tokenHash = controller?.tokenHash ?? new Uint8Array();
    // A withdrawn controller has no hash; hashes of different lengths cannot be compared.
    if (tokenHash.length > 0 && timingSafeEqual(tokenHashOf(token!), tokenHash)) {
      return { controller: controller! };
    }
    return new Refusal(401, "no such controller with this token", {
      "www-authenticate": "TargetToken",
    });
  }

  async #bySignature(id: string, request: Request): Promise<Caller | Refusal> {
    const { box: find, clock } = this.#host;
    const { method, url, headers } = request;
    const body = await readBody(request, BODY, clock);
    let box: BoxRow | undefined;
    try {
      const verified = await verifyRequest(
        { method, url, headers, body },
        async (boxId) => boxId === id ? (box = await find(boxId))?.publicKey : undefined,
        clock.wallMs(),
      );
      if (!this.#nonces.fresh(verified, clock.wallMs())) {
        return new Refusal(401, "this very request was made before");
      }
    } catch (error) {
      if (!(error instanceof HttpSignatureError)) throw error;
      return new Refusal(401, error.message);
    }
    if (box!.revoked) return new Refusal(403, "an operator withdrew this box");
    return { controller: await this.#controllerOf(box!), body };
  }

  /** A box's row; made with a token that nobody knows, for a box has no use for one. */
  async #controllerOf({ id }: BoxRow): Promise<ControllerRow> {
    const { rollouts, clock } = this.#host;
    const known = await rollouts.controller(id);
    if (known !== undefined) {
      if (known.tokenHash.length > 0) return known;
      throw new Refusal(403, "an operator withdrew this box from updates");
    }
    const tokenHash = new Uint8Array(randomBytes(32));
    const addedMs = clock.wallMs();
    await rollouts.putController({ id, tokenHash, labels: {}, addedMs });
    return (await rollouts.controller(id))!;
  }
}
