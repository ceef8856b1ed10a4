/**
 * Commands on a district's data, whether it runs or not.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { processClock } from "../../hal/linux/clock.ts";
import { makeToken, newTokenSecret } from "../../sync/wire/mod.ts";
import { PasswordHasher, randomPassword } from "../auth/password.ts";
import { TOKEN_LIFE_MS } from "../core.ts";
import { keyOfDistrict } from "../district.ts";
import { DistrictError } from "../errors.ts";
import { SqliteStore } from "../store/sqlite/mod.ts";
import { pinnedAuthority } from "../tls/authority.ts";
import { DATA_DIR_DEFAULT, ensureDataDir, EXIT, readArgs, UsageError } from "./args.ts";

/** Who the audit log names for what is done on the server itself. */
const LOCAL = "(command line)";
const USERNAME = /^[\p{L}\p{N}._@-]{1,64}$/u;

function read(args: string[]) {
  const { values, positionals } = readArgs(args, {
    data: { type: "string", default: DATA_DIR_DEFAULT },
    json: { type: "boolean", default: false },
  });
  return { data: values.data, json: values.json, positionals };
}

/** `gatehouse district token`: makes a one-time enrolment token. */
export async function tokenCommand(args: string[]): Promise<number> {
  const { data, json, positionals } = read(args);
  if (positionals.length > 0) throw new UsageError(`${positionals[0]} is not understood`);
  ensureDataDir(data);
  const clock = processClock();
  const nowMs = clock.wallMs();
  const caPem = await pinnedAuthority(data);
  await using store = new SqliteStore(data);
  const secret = newTokenSecret();
  const expiresMs = nowMs + TOKEN_LIFE_MS;
  await store.addToken(new Uint8Array(createHash("sha256").update(secret).digest()), expiresMs);
  await store.audit({
    atMs: nowMs,
    operator: LOCAL,
    action: "token.created",
    detail: new Date(expiresMs).toISOString(),
  });
  const token = makeToken(secret, caPem);
  if (json) console.log(JSON.stringify({ token, expiresMs }));
  else {
    console.log(token);
    console.error("On the box: gatehouse enrol --district https://HOST:PORT --token THE-TOKEN");
  }
  return EXIT.ok;
}

/** `gatehouse district operator NAME`: adds an operator or sets a new password. */
export async function operatorCommand(args: string[]): Promise<number> {
  const { data, json, positionals } = read(args);
  const [username] = positionals;
  if (username === undefined || positionals.length > 1 || !USERNAME.test(username)) {
    throw new UsageError("expected one NAME of letters, digits and . _ @ -, at most 64");
  }
  ensureDataDir(data);
  await using store = new SqliteStore(data);
  const password = randomPassword();
  await store.setOperator(username, await new PasswordHasher().hash(password));
  await store.audit({
    atMs: processClock().wallMs(),
    operator: LOCAL,
    action: "operator.set",
    detail: username,
  });
  console.log(
    json
      ? JSON.stringify({ username, password })
      : `Log in as ${username} with the password ${password}. It is shown only now.`,
  );
  return EXIT.ok;
}

/** `gatehouse district revoke BOX`: withdraws a box; a running district ends its link within 20 s. */
export async function revokeCommand(args: string[]): Promise<number> {
  const { data, positionals } = read(args);
  const [boxId] = positionals;
  if (boxId === undefined || positionals.length > 1) throw new UsageError("expected one BOX id");
  ensureDataDir(data);
  await using store = new SqliteStore(data);
  if (!await store.revoke(boxId)) {
    throw new DistrictError("not-found", `there is no box ${boxId}`);
  }
  await store.audit({
    atMs: processClock().wallMs(),
    operator: LOCAL,
    action: "box.revoked",
    detail: boxId,
  });
  return EXIT.ok;
}

/** `gatehouse district verify`: recomputes hash chains; fails when one does not hold. */
export async function verifyCommand(args: string[]): Promise<number> {
  const { data, json, positionals } = read(args);
  ensureDataDir(data);
  await using store = new SqliteStore(data);
  const ids = positionals.length > 0 ? positionals : (await store.boxes()).map(({ id }) => id);
  let faults = 0;
  for (const boxId of ids) {
    if (await store.box(boxId) === undefined) {
      throw new DistrictError("not-found", `there is no box ${boxId}`);
    }
    for (const report of await store.verifyChains(boxId)) {
      if (report.fault !== undefined) faults++;
      const { epoch, lane, events, fault } = report;
      console.log(
        json
          ? JSON.stringify({ boxId, ...report, fault: fault ?? null })
          : `${boxId} epoch ${epoch} ${lane}: ${events} events, ${fault ?? "intact"}`,
      );
    }
  }
  return faults > 0 ? EXIT.failed : EXIT.ok;
}

/** `gatehouse district assign-key`: prints the public half of the key that assigns updates to boxes. */
export function assignKeyCommand(args: string[]): Promise<number> {
  const { data, json, positionals } = read(args);
  if (positionals.length > 0) throw new UsageError(`${positionals[0]} is not understood`);
  ensureDataDir(data);
  const key = keyOfDistrict(data, "assign").publicKey.toHex();
  console.log(json ? JSON.stringify({ key }) : key);
  return Promise.resolve(EXIT.ok);
}
