import { Buffer } from "node:buffer";
import { createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { join } from "node:path";
import type { TargetFile } from "@tufjs/models";
import {
  addSignature,
  bytesOf,
  type Delegation,
  publicKey,
  Repository,
  type RoleKey,
  type Signed,
} from "../repository/mod.ts";
import type { Metadata } from "@tufjs/models";

/** The role that speaks for simulated readers' firmware, whose model is 1, and for a model that is not there. */
const FIRMWARE_ROLE = "firmware-0a0017-1";
/** The role that speaks for the settings of a district's policy, and of a neighbour's. */
const POLICY_ROLE = "policy-north";
const YEAR_MS = 365 * 86_400_000;

/** A key that exists as long as the test. */
export function memoryKey(): RoleKey {
  const { privateKey } = generateKeyPairSync("ed25519");
  const { x } = createPublicKey(privateKey).export({ format: "jwk" });
  return {
    key: publicKey(new Uint8Array(Buffer.from(x!, "base64url"))),
    sign: (bytes) => Promise.resolve(new Uint8Array(sign(null, bytes, privateKey))),
  };
}

/**
 * A district's publisher as the guide has it: root 2 of 3, targets 2 of 3, `app`, `os`, `config`, the
 * policy of the district north and the firmware of readers 2 of 3, one assigning key online.
 */
export class Publisher {
  readonly repository: Repository;
  readonly folder: string;
  root: RoleKey[] = [memoryKey(), memoryKey(), memoryKey()];
  targets: RoleKey[] = [memoryKey(), memoryKey(), memoryKey()];
  app: RoleKey[] = [memoryKey(), memoryKey(), memoryKey()];
  os: RoleKey[] = [memoryKey(), memoryKey(), memoryKey()];
  firmware: RoleKey[] = [memoryKey(), memoryKey(), memoryKey()];
  config: RoleKey[] = [memoryKey(), memoryKey(), memoryKey()];
  policy: RoleKey[] = [memoryKey(), memoryKey(), memoryKey()];
  snapshot: RoleKey = memoryKey();
  timestamp: RoleKey = memoryKey();
  assign: RoleKey = memoryKey();
  /** The role that {@link assign} signs for. */
  assignRole = "assign-north";
  nowMs: number;

  /** A publisher into `folder`, which is empty. */
  constructor(folder: string, nowMs: number) {
    this.folder = folder;
    this.repository = new Repository(folder);
    this.nowMs = nowMs;
  }

  /** Publishes the first root and delegations, with nothing to install yet; `assign` assigns. */
  static async begin(
    folder: string,
    nowMs: number,
    assign?: RoleKey,
    assignRole = "assign-north",
  ): Promise<Publisher> {
    const publisher = new Publisher(folder, nowMs);
    publisher.assignRole = assignRole;
    publisher.assign = assign ?? publisher.assign;
    await publisher.newRoot(publisher.root.slice(0, 2));
    await publisher.delegate();
    await publisher.signApp(publisher.app.slice(0, 2), []);
    await publisher.signSystem([]);
    await publisher.signFirmware([]);
    await publisher.signConfig([]);
    await publisher.signPolicy([]);
    await publisher.publish();
    return publisher;
  }

  /** Bytes of the root in force: what a box is shipped with. */
  rootBytes(): Uint8Array<ArrayBuffer> {
    return bytesOf(this.repository.newest("root")! as Metadata<Signed>);
  }

  /** Publishes a root with the present keys, signed by `signers`. */
  async newRoot(signers: readonly RoleKey[], expiresMs = this.nowMs + YEAR_MS): Promise<void> {
    const draft = this.repository.draftRoot({
      root: { keys: this.root.map(({ key }) => key), threshold: 2 },
      targets: { keys: this.targets.map(({ key }) => key), threshold: 2 },
      snapshot: { keys: [this.snapshot.key], threshold: 1 },
      timestamp: { keys: [this.timestamp.key], threshold: 1 },
    }, expiresMs);
    for (const signer of signers) await addSignature(draft as Metadata<Signed>, signer);
    this.repository.acceptRoot(draft);
  }

  /** Publishes who speaks for what. */
  async delegate(): Promise<void> {
    const delegations: Delegation[] = [
      { name: "app", paths: ["app/*/*"], keys: this.app.map(({ key }) => key), threshold: 2 },
      { name: "os", paths: ["os/*/*"], keys: this.os.map(({ key }) => key), threshold: 2 },
      {
        name: FIRMWARE_ROLE,
        paths: ["firmware/0a0017-1/*", "firmware/0a0017-2/*"],
        keys: this.firmware.map(({ key }) => key),
        threshold: 2,
      },
      {
        ...{ name: "config", paths: ["config/*/*"], threshold: 2 },
        keys: this.config.map(({ key }) => key),
      },
      {
        ...{ name: POLICY_ROLE, paths: ["policy/north/*", "policy/south/*"], threshold: 2 },
        keys: this.policy.map(({ key }) => key),
      },
      { name: this.assignRole, paths: [], keys: [this.assign.key], threshold: 1 },
    ];
    const draft = this.repository.draftTargets("targets", this.nowMs + YEAR_MS, { delegations });
    for (const signer of this.targets.slice(0, 2)) await addSignature(draft, signer);
    this.repository.acceptTargets("targets", draft);
  }

  /** Adds a release of the app, not visible before {@link Publisher.publish}. */
  async release(
    version: string,
    content: string,
    signers: readonly RoleKey[] = this.app.slice(0, 2),
  ): Promise<TargetFile> {
    const path = `app/${version}/gatehouse.tar.zst`;
    const target = await this.repository.addFile(path, new Blob([content]).stream(), { version });
    await this.signApp(signers, [target]);
    return target;
  }

  /** Publishes the next version of the role `app`. */
  async signApp(signers: readonly RoleKey[], add: readonly TargetFile[]): Promise<void> {
    await this.#sign("app", signers, add);
  }

  /** Publishes the next version of the role `os`. */
  async signSystem(add: readonly TargetFile[]): Promise<void> {
    await this.#sign("os", this.os.slice(0, 2), add);
  }

  /** Publishes the next version of the firmware's role. */
  async signFirmware(add: readonly TargetFile[]): Promise<void> {
    await this.#sign(FIRMWARE_ROLE, this.firmware.slice(0, 2), add);
  }

  /** Publishes the next version of the role `config`. */
  async signConfig(add: readonly TargetFile[]): Promise<void> {
    await this.#sign("config", this.config.slice(0, 2), add);
  }

  /** Publishes the next version of the policy's role. */
  async signPolicy(add: readonly TargetFile[]): Promise<void> {
    await this.#sign(POLICY_ROLE, this.policy.slice(0, 2), add);
  }

  async #sign(
    role: string,
    signers: readonly RoleKey[],
    add: readonly TargetFile[],
  ): Promise<void> {
    const draft = this.repository.draftTargets(role, this.nowMs + YEAR_MS, { add });
    for (const signer of signers) await addSignature(draft, signer);
    this.repository.acceptTargets(role, draft);
  }

  /** Signs snapshot and timestamp. */
  async publish(): Promise<void> {
    await this.repository.publish(
      { snapshot: this.snapshot, timestamp: this.timestamp },
      this.nowMs,
    );
  }

  /** A file of the repository as it is now. */
  read(path: string): Uint8Array<ArrayBuffer> {
    return Deno.readFileSync(join(this.folder, path));
  }
}
