import { join } from "node:path";
import type { Metadata, TargetFile } from "@tufjs/models";
import { EXIT, readArgs, UsageError } from "../../cli/args.ts";
import type { Clock } from "../../hal/mod.ts";
import {
  addSignature,
  newKeyFile,
  openKeyFile,
  publicText,
  Repository,
  type RoleKey,
  type Signed,
  signersOf,
} from "../repository/mod.ts";
import { type Draft, readDraft, writeDraft } from "./draft.ts";
import { passphrase } from "./passphrase.ts";
import { parsePlan } from "./plan.ts";
import {
  addConfigRelease,
  addFirmwareRelease,
  addPolicyRelease,
  addRelease,
  addSystemRelease,
  firmwareModel,
} from "./release.ts";
import { isTokenUri, newTokenKey, openTokenKey } from "./token_key.ts";

const DAY_MS = 86_400_000;
const REPO = { repo: { type: "string" } } as const;
const PASS = { "passphrase-file": { type: "string" } } as const;

/** A command of `gatehouse ota`; returns its exit code. */
export type OtaCommand = (args: string[], clock: Clock) => Promise<number> | number;

function one(positionals: readonly string[], what: string): string {
  const [value, ...more] = positionals;
  if (value === undefined || more.length > 0) throw new UsageError(`expected one ${what}`);
  return value;
}

function need(values: Readonly<Record<string, unknown>>, name: string): string {
  const value = values[name];
  if (typeof value !== "string") throw new UsageError(`--${name} is missing`);
  return value;
}

/** One byte of a reader's identity or a file's type. */
function whole(text: string, name: string): number {
  const value = Number(text);
  if (/^\d{1,3}$/.test(text) && value <= 255) return value;
  throw new UsageError(`--${name} is a number from 0 to 255`);
}

/** Keeps a draft where the signers find it, and says what comes next. */
function keep(repo: string, draft: Draft): number {
  const folder = join(repo, "drafts");
  Deno.mkdirSync(folder, { recursive: true });
  const file = join(folder, `${draft.role}.${draft.metadata.signed.version}.json`);
  writeDraft(file, draft);
  console.log(file);
  console.error(`sign it with gatehouse ota sign, then gatehouse ota accept`);
  return EXIT.ok;
}

/** A key in a file under a passphrase, or in a token under a PIN. */
async function open(name: string, passphraseFile: string | undefined): Promise<RoleKey> {
  const secret = await passphrase(name, passphraseFile);
  return isTokenUri(name) ? await openTokenKey(name, secret) : openKeyFile(name, secret);
}

async function key(args: string[]): Promise<number> {
  const { values, positionals: [action, ...files] } = readArgs(args, PASS);
  const file = one(files, "FILE");
  const secret = () => passphrase(file, values["passphrase-file"]);
  if (action === "new") {
    const first = await secret();
    // A token's PIN is known already; a new passphrase is typed twice.
    if (values["passphrase-file"] === undefined && !isTokenUri(file)) {
      const again = await passphrase(`${file}, once more`, undefined);
      if (again !== first) throw new UsageError("the two passphrases differ; nothing was made");
    }
    const made = isTokenUri(file) ? await newTokenKey(file, first) : newKeyFile(file, first);
    console.log(publicText(made));
    console.error(`${file}: keep it offline, and a copy in another place`);
  } else if (action === "show") {
    console.log(publicText((await open(file, values["passphrase-file"])).key));
  } else throw new UsageError("expected key new FILE or key show FILE");
  return EXIT.ok;
}

function root(args: string[], clock: Clock): number {
  const { values } = readArgs(args, { ...REPO, plan: { type: "string" } });
  const [repo, file] = [need(values, "repo"), need(values, "plan")];
  const plan = parsePlan(Deno.readTextFileSync(file), file);
  const expiresMs = clock.wallMs() + plan.validDays * DAY_MS;
  const metadata = new Repository(repo).draftRoot(plan.root, expiresMs);
  return keep(repo, { role: "root", metadata });
}

function delegate(args: string[], clock: Clock): number {
  const { values } = readArgs(args, { ...REPO, plan: { type: "string" } });
  const [repo, file] = [need(values, "repo"), need(values, "plan")];
  const { delegations, validDays } = parsePlan(Deno.readTextFileSync(file), file);
  const repository = new Repository(repo);
  const expiresMs = clock.wallMs() + validDays * DAY_MS;
  const code = keep(repo, {
    role: "targets",
    metadata: repository.draftTargets("targets", expiresMs, { delegations }),
  });
  // A client that follows a delegation to nothing gives up: each role signs at least an empty list.
  for (const { name, paths } of delegations) {
    if (paths.length === 0 || repository.newest(name) !== undefined) continue;
    keep(repo, { role: name, metadata: repository.draftTargets(name, expiresMs, {}) });
  }
  return code;
}

async function release(args: string[], clock: Clock): Promise<number> {
  const { values } = readArgs(args, {
    ...REPO,
    version: { type: "string" },
    from: { type: "string" },
    arch: { type: "string" },
    bundle: { type: "string" },
    compatible: { type: "string" },
    "reader-firmware": { type: "string" },
    vendor: { type: "string" },
    model: { type: "string" },
    configurations: { type: "string" },
    settings: { type: "string" },
    district: { type: "string" },
    "file-type": { type: "string", default: "1" },
    days: { type: "string" },
  });
  const { arch = "any", days = "365", bundle, "reader-firmware": firmware } = values;
  if (arch !== "any" && arch !== "x64" && arch !== "arm64") {
    throw new UsageError("--arch is x64, arm64 or any");
  }
  if (!/^\d{1,4}$/.test(days)) throw new UsageError("--days is a number of days");
  const sources = ["from", "bundle", "reader-firmware", "configurations", "settings"] as const;
  if (sources.filter((name) => values[name] !== undefined).length > 1) {
    throw new UsageError(`one of --${sources.join(", --")}: each is a release of its own`);
  }
  const repo = need(values, "repo");
  const repository = new Repository(repo);
  const nowMs = clock.wallMs();
  const version = need(values, "version");
  let role = "app";
  let targets: TargetFile[];
  if (firmware !== undefined) {
    const vendor = need(values, "vendor").toLowerCase();
    const model = whole(need(values, "model"), "model");
    const fileType = whole(values["file-type"], "file-type");
    role = `firmware-${firmwareModel({ vendor, model })}`;
    const said = { version, vendor, model, fileType };
    targets = [await addFirmwareRelease(repository, { file: firmware, nowMs, ...said })];
  } else if (values.configurations !== undefined) {
    role = "config";
    const folder = values.configurations;
    targets = [await addConfigRelease(repository, { version, folder, nowMs })];
  } else if (values.settings !== undefined) {
    const [file, district] = [values.settings, need(values, "district")];
    role = `policy-${district}`;
    targets = [await addPolicyRelease(repository, { version, district, file, nowMs })];
  } else if (bundle === undefined) {
    const [from, archive] = [need(values, "from"), join(repo, "archive")];
    targets = await addRelease(repository, { version, from, arch, nowMs, archive });
  } else {
    role = "os";
    const compatible = need(values, "compatible");
    targets = [await addSystemRelease(repository, { version, bundle, compatible, nowMs })];
  }
  for (const { path, length } of targets) console.error(`${path}  ${length} bytes`);
  const expiresMs = nowMs + Number(days) * DAY_MS;
  return keep(repo, {
    role,
    metadata: repository.draftTargets(role, expiresMs, { add: targets }),
  });
}

async function sign(args: string[]): Promise<number> {
  const { values, positionals } = readArgs(args, { ...PASS, key: { type: "string" } });
  const file = one(positionals, "DRAFT");
  const keyFile = need(values, "key");
  const draft = readDraft(file);
  const signer = await open(keyFile, values["passphrase-file"]);
  await addSignature(draft.metadata, signer);
  writeDraft(file, draft);
  const count = signersOf(draft.metadata).length;
  console.error(`${file}: ${count} signature${count === 1 ? "" : "s"}`);
  return EXIT.ok;
}

function accept(args: string[]): number {
  const { values, positionals } = readArgs(args, REPO);
  const file = one(positionals, "DRAFT");
  const repository = new Repository(need(values, "repo"));
  const { role, metadata } = readDraft(file);
  if (role === "root") repository.acceptRoot(metadata as Parameters<Repository["acceptRoot"]>[0]);
  else repository.acceptTargets(role, metadata as Parameters<Repository["acceptTargets"]>[1]);
  Deno.removeSync(file);
  console.error(
    `${role} ${metadata.signed.version} is accepted; gatehouse ota publish shows it to the boxes`,
  );
  return EXIT.ok;
}

async function publish(args: string[], clock: Clock): Promise<number> {
  const { values } = readArgs(args, {
    ...REPO,
    ...PASS,
    "snapshot-key": { type: "string" },
    "timestamp-key": { type: "string" },
  });
  const repository = new Repository(need(values, "repo"));
  const of = (name: string) => open(need(values, name), values["passphrase-file"]);
  const keys = { snapshot: await of("snapshot-key"), timestamp: await of("timestamp-key") };
  await repository.publish(keys, clock.wallMs());
  console.error(`snapshot ${repository.newest("snapshot")!.signed.version} is published`);
  return EXIT.ok;
}

function status(args: string[], clock: Clock): number {
  const { values } = readArgs(args, { ...REPO, json: { type: "boolean" } });
  const repository = new Repository(need(values, "repo"));
  const top = repository.newest("root");
  if (top === undefined) {
    console.error("there is no root yet: begin with gatehouse ota root --plan FILE");
    return EXIT.failed;
  }
  const delegations = repository.newest("targets")?.signed.delegations?.roles ?? {};
  const thresholds = { ...top.signed.roles, ...delegations };
  const rows = Object.entries(thresholds).map(([role, { keyIDs, threshold }]) => {
    const metadata = repository.newest(role) as Metadata<Signed> | undefined;
    const expires = metadata?.signed.expires;
    const leftDays = expires === undefined
      ? undefined
      : Math.floor((Date.parse(expires) - clock.wallMs()) / DAY_MS);
    return {
      role,
      version: metadata?.signed.version ?? 0,
      keys: keyIDs.length,
      threshold,
      expires,
      leftDays,
    };
  });
  if (values.json) console.log(JSON.stringify(rows));
  else {
    for (const { role, version, keys, threshold, expires, leftDays } of rows) {
      const until = expires === undefined
        ? "nothing signed"
        : `until ${expires}${leftDays! < 0 ? ", EXPIRED" : `, ${leftDays} days`}`;
      console.log(`${role.padEnd(24)} version ${version}, ${threshold} of ${keys} keys, ${until}`);
    }
  }
  return rows.some(({ leftDays }) => leftDays !== undefined && leftDays < 0)
    ? EXIT.failed
    : EXIT.ok;
}

/** The commands by their names. */
export const OTA_COMMANDS: Readonly<Record<string, OtaCommand>> = {
  key,
  root,
  delegate,
  release,
  sign,
  accept,
  publish,
  status,
};
