import { join } from "node:path";
import { type Cancel, type Clock, writeFileDurably } from "../hal/mod.ts";
import { type BoxCommand, SigningKey } from "../sync/wire/mod.ts";
import type {
  BoxView,
  CommandView,
  ImportReport,
  LiveMessage,
  PolicySettings,
} from "./api/types.ts";
import { type PasswordCost, PasswordHasher, randomPassword } from "./auth/password.ts";
import { Sessions } from "./auth/sessions.ts";
import { BoxApi } from "./box_api/box_api.ts";
import { BoxLinks } from "./box_api/links.ts";
import { consoleApi } from "./console_api/console_api.ts";
import { SECURITY_HEADERS } from "./console_api/guard.ts";
import { Core } from "./core.ts";
import { DistrictError } from "./errors.ts";
import { AssignmentDesk } from "./ddi/assignment_desk.ts";
import { Budget } from "./ddi/budget.ts";
import { DDI_PREFIX, DdiApi } from "./ddi/ddi_api.ts";
import { LiveHub, LiveQueue } from "./live/hub.ts";
import { faultFields, type Log } from "./log.ts";
import { Publisher } from "./policy/publisher.ts";
import { UpdateRepository } from "./rollouts/repository.ts";
import { Updates } from "./rollouts/updates.ts";
import { SilenceWatch } from "./rollouts/watch.ts";
import { serveConsole } from "./static_files.ts";
import type { ChainReport, DistrictStore, EventQuery, EventRow } from "./store/contract.ts";
import { SqliteStore } from "./store/sqlite/mod.ts";
import { notePinned, serverCertificate } from "./tls/authority.ts";

/** What a district needs to run. */
export interface DistrictOptions {
  /** An existing folder for everything that is kept. */
  readonly dataDir: string;
  readonly hostname: string;
  /** 0 for any free one. */
  readonly port: number;
  /** Names and addresses that the certificate covers, beside `localhost`. */
  readonly hosts: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  readonly name: string;
  readonly version: string;
  /** The built console. */
  readonly webDir: string;
  /** For tests: what password hashes cost. */
  readonly passwordCost?: PasswordCost;
  /** For tests: seconds until a link that answers no ping is given up. */
  readonly linkIdleTimeoutS?: number;
  /** For tests: seconds after which update clients ask again. */
  readonly updatePollS?: number;
  /** What downloads of updates together may take of the line, in bytes a second. */
  readonly updateBytesPerSecond?: number;
  /** A certificate of one's own, both PEM. Boxes pin its last certificate. */
  readonly certificate?: { readonly certPem: string; readonly keyPem: string };
}

/** A running district, for programs in the same process. Disposal stops it gracefully. */
export interface District extends AsyncDisposable {
  /** `https://host:port`, with the real port. */
  readonly url: string;
  readonly port: number;
  /** The CA to trust. */
  readonly caPem: string;
  /** The district's raw Ed25519 public key. */
  readonly publicKey: Uint8Array;
  /** `admin` and its password, when there was no operator before. Tell it once, and keep it nowhere. */
  readonly firstOperator: { readonly username: string; readonly password: string } | undefined;
  /** Makes a one-time enrolment token. */
  createToken(operator?: string): Promise<{ readonly token: string; readonly expiresMs: number }>;
  /** Adds an operator or sets a new password. */
  setOperator(username: string, password: string): Promise<void>;
  /** All boxes but withdrawn ones. */
  boxes(): Promise<readonly BoxView[]>;
  /** Withdraws a box and ends its link. */
  revoke(boxId: string): Promise<void>;
  /** Issues a command; it is sent now or when the box is back in time. */
  command(boxId: string, command: BoxCommand, lifeMs?: number): Promise<CommandView>;
  /** How a command went. */
  commandState(id: string): Promise<CommandView>;
  /** Imports a CSV file, all of it or none. */
  importCardholders(csv: Uint8Array, dryRun?: boolean): Promise<ImportReport>;
  /** Replaces hours, holidays and access levels. */
  putSettings(settings: PolicySettings): Promise<PolicySettings>;
  /** Resolves when every change so far is published to boxes. */
  published(): Promise<number>;
  /** Events as asked for, newest first. */
  events(query: EventQuery): Promise<readonly EventRow[]>;
  /** Recomputes the hash chains of a box. */
  verifyChains(boxId: string): Promise<readonly ChainReport[]>;
  /** Calls back with what consoles see, until cancelled. */
  onLive(listener: (message: LiveMessage) => void): Cancel;
}

/** Requests under way are given this long at a stop. */
const STOP_MS = 5_000;

/** Reads a key of the district's, making it on the first start. */
export function keyOfDistrict(dataDir: string, name: "district" | "assign"): SigningKey {
  const path = join(dataDir, `${name}.key`);
  try {
    return SigningKey.fromPkcs8(Deno.readFileSync(path));
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) {
      const key = SigningKey.generate();
      writeFileDurably(path, key.pkcs8());
      return key;
    }
    throw new DistrictError(
      "data",
      `${path}: not a key of the district's; restore it from your backup: boxes trust it alone`,
      { cause },
    );
  }
}

/** The file of boxes and events in a data folder, for tests that look into it. */
export function storePath(dataDir: string): string {
  return join(dataDir, "district.sqlite");
}

/**
 * Starts a district: opens what it keeps, then listens.
 *
 * @throws {@link DistrictError} that says what to do, or the error of the listening socket.
 */
export async function openDistrict(options: DistrictOptions): Promise<District> {
  const { dataDir, clock } = options;
  const stack = new AsyncDisposableStack();
  try {
    const key = keyOfDistrict(dataDir, "district");
    const certificate = options.certificate === undefined
      ? await serverCertificate(
        dataDir,
        [...new Set(["localhost", "127.0.0.1", "::1", ...options.hosts])],
        clock.wallMs(),
      )
      : { ...options.certificate, caPem: lastCertificate(options.certificate.certPem) };
    notePinned(dataDir, certificate.caPem);
    const store = stack.use(new SqliteStore(dataDir));
    const hasher = new PasswordHasher(options.passwordCost);
    const firstOperator = await makeFirstOperator(store, hasher);
    return serve(options, { stack, key, certificate, store, hasher, firstOperator });
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

interface Opened {
  readonly stack: AsyncDisposableStack;
  readonly key: SigningKey;
  readonly certificate: {
    readonly certPem: string;
    readonly keyPem: string;
    readonly caPem: string;
  };
  readonly store: DistrictStore;
  readonly hasher: PasswordHasher;
  readonly firstOperator: District["firstOperator"];
}

function serve(options: DistrictOptions, opened: Opened): District {
  const { clock, log, name: districtName, version } = options;
  const { stack, key, store, hasher } = opened;
  const { certPem, keyPem, caPem } = opened.certificate;
  const hub = new LiveHub();
  const links = new BoxLinks({
    store,
    clock,
    log,
    key,
    onChange: (boxId) => core.boxChanged(boxId),
    ...(options.linkIdleTimeoutS === undefined ? {} : { idleTimeoutS: options.linkIdleTimeoutS }),
  });
  const publisher = new Publisher({
    store,
    compiler: store.policyCompiler(),
    clock,
    log,
    onPublished: (policyVersion) => {
      links.announcePolicy(policyVersion);
      core.allBoxesChanged();
    },
  });
  const core = new Core({ store, clock, log, hub, links, publisher, caPem });
  const sessions = new Sessions(store, clock, hasher);
  const boxApi = new BoxApi({
    store,
    clock,
    log,
    key,
    caPem,
    districtName,
    links,
    onIngested: (box, result) => core.ingested(box, result),
    onEnrolled: (boxId) => core.boxChanged(boxId),
  });
  const repository = new UpdateRepository(join(options.dataDir, "updates"));
  const updates = new Updates({ store, clock, repository });
  const { updatePollS: pollS, updateBytesPerSecond: rate } = options;
  const rollouts = store.rollouts;
  const ddi = new DdiApi({
    rollouts,
    repository,
    box: (id) => store.box(id),
    assignments: new AssignmentDesk({
      rollouts,
      key: keyOfDistrict(options.dataDir, "assign"),
      clock,
    }),
    clock,
    log,
    ...pollS === undefined ? {} : { pollS },
    ...rate === undefined ? {} : { budget: new Budget(rate, clock) },
  });
  const app = consoleApi({
    store,
    clock,
    log,
    core,
    hub,
    sessions,
    updates,
    repository,
    districtName,
    version,
  });
  const server = Deno.serve({
    hostname: options.hostname,
    port: options.port,
    cert: certPem,
    key: keyPem,
    onListen: () => {},
    onError: (error) => {
      log.error("a request failed", faultFields(error));
      return new Response("internal error", { status: 500 });
    },
  }, async (request, info) => {
    const { pathname } = new URL(request.url);
    if (pathname.startsWith("/api/box/v1/")) return await boxApi.answer(request);
    if (pathname.startsWith(DDI_PREFIX)) return await ddi.answer(request, info.remoteAddr.hostname);
    if (pathname === "/healthz") return Response.json({ ok: true });
    if (pathname !== "/api" && !pathname.startsWith("/api/")) {
      return await serveConsole(request, options.webDir);
    }
    const response = await app.fetch(request, { address: info.remoteAddr.hostname });
    for (const [header, value] of Object.entries(SECURITY_HEADERS)) {
      response.headers.set(header, value);
    }
    return response;
  });
  // Disposed in this order, from the last one up: stop serving, then what serving needs.
  stack.use(core);
  stack.use(publisher);
  stack.use(new SilenceWatch(rollouts, clock, log));
  stack.defer(() => stopServer(server, clock));
  stack.use(links);
  stack.defer(() => hub.close());
  publisher.publish();
  const { port } = server.addr as Deno.NetAddr;
  return handle(options, opened, { core, hub, publisher, port });
}

function handle(
  options: DistrictOptions,
  opened: Opened,
  running: {
    readonly core: Core;
    readonly hub: LiveHub;
    readonly publisher: Publisher;
    readonly port: number;
  },
): District {
  const { store, hasher, stack, key, certificate, firstOperator } = opened;
  const { core, hub, publisher, port } = running;
  const operator = "(program)";
  return {
    url: `https://${shownHost(options)}:${port}`,
    port,
    caPem: certificate.caPem,
    publicKey: key.publicKey,
    firstOperator,
    createToken: (by = operator) => core.createToken(by),
    setOperator: async (username, password) =>
      await store.setOperator(username, await hasher.hash(password)),
    boxes: () => core.boxes(),
    revoke: (boxId) => core.revoke(boxId, operator),
    command: (boxId, command, lifeMs) => core.issue(boxId, command, operator, lifeMs),
    commandState: (id) => core.command(id),
    importCardholders: (csv, dryRun = false) => core.importCardholders(csv, dryRun, operator),
    putSettings: (settings) => core.putSettings(settings, operator),
    published: async () => {
      await publisher.settled();
      return await store.policyVersion();
    },
    events: (query) => store.events(query),
    verifyChains: (boxId) => store.verifyChains(boxId),
    onLive: (listener) => listen(hub, listener),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function listen(hub: LiveHub, listener: (message: LiveMessage) => void): Cancel {
  const queue = new LiveQueue();
  const cancel = hub.listen(queue);
  const run = async () => {
    while (!queue.closed) {
      if (!queue.waiting) await queue.next();
      for (const message of queue.take()) listener(message);
    }
  };
  run().catch((error) => {
    cancel();
    throw error;
  });
  return cancel;
}

/** An address that a browser on this machine can open. */
function shownHost({ hostname, hosts }: DistrictOptions): string {
  if (hostname !== "0.0.0.0" && hostname !== "::") {
    return hostname.includes(":") ? `[${hostname}]` : hostname;
  }
  return hosts[0] ?? "localhost";
}

async function makeFirstOperator(
  store: DistrictStore,
  hasher: PasswordHasher,
): Promise<District["firstOperator"]> {
  if (await store.operatorCount() > 0) return undefined;
  const made = { username: "admin", password: randomPassword() };
  await store.setOperator(made.username, await hasher.hash(made.password));
  return made;
}

async function stopServer(server: Deno.HttpServer, clock: Clock): Promise<void> {
  let cancel: Cancel = () => {};
  const tooLong = new Promise<void>((resolve) => cancel = clock.schedule(STOP_MS, resolve));
  await Promise.race([server.shutdown(), tooLong]);
  cancel();
}

function lastCertificate(pem: string): string {
  const all = pem.match(/-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?/gs);
  const last = all?.at(-1);
  if (last === undefined) throw new DistrictError("data", "--cert: no certificate in PEM");
  return last;
}
