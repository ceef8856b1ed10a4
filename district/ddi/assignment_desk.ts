import { TargetFile } from "@tufjs/models";
import type { Clock } from "../../hal/mod.ts";
import { publicKey, type RoleKey, signAssignment } from "../../ota/repository/mod.ts";
import type { SigningKey } from "../../sync/wire/mod.ts";
import type { ReleaseRow, RolloutStore } from "../store/contract.ts";

/** What an {@link AssignmentDesk} needs. */
export interface AssignmentDeskHost {
  readonly rollouts: RolloutStore;
  /** The key that the publisher delegates the role of assigning to. */
  readonly key: SigningKey;
  readonly clock: Clock;
}

/** A box that is off over the summer finds its assignment renewed when it asks again. */
const LIFE_MS = 30 * 86_400_000;

/** Signs which box is to install what: Uptane's director (Uptane Standard 2.1.0, 5.3.2.1). */
export class AssignmentDesk {
  readonly #host: AssignmentDeskHost;
  readonly #key: RoleKey;

  /** Signs with the host's key. */
  constructor(host: AssignmentDeskHost) {
    this.#host = host;
    const { key } = host;
    this.#key = {
      key: publicKey(key.publicKey),
      sign: (bytes) => Promise.resolve(key.sign(bytes)),
    };
  }

  /** The signed assignment of `release` to `boxId` by `actionId`: the same until half its life is over. */
  async assign(
    boxId: string,
    actionId: number,
    { path, bytes, sha256 }: ReleaseRow,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { rollouts, clock } = this.#host;
    const nowMs = clock.wallMs();
    const { version, expiresMs } = await rollouts.assignment(boxId, actionId, nowMs, LIFE_MS);
    const target = new TargetFile({ path, length: bytes, hashes: { sha256 } });
    return await signAssignment({ boxId, version, expiresMs, targets: [target] }, [this.#key]);
  }
}
