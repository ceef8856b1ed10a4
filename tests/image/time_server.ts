/**
 * A server of authenticated time on this machine: the image's own chrony, NTS (RFC 8915) under a certificate
 * of an authority that only this test knows.
 *
 * @module
 */
import { join } from "node:path";
import { run } from "../../images/run.ts";

/** Where certificates are shown and keys given (RFC 8915, 4). */
const NTS_PORT = 4460;

/** A server that is not started yet. */
export interface TimeServer {
  /** Who signs its certificate, in PEM. */
  readonly ca: string;
  /** Answers until disposal, by the chrony of the system in the folder `root`. */
  readonly serve: (root: string) => Promise<AsyncDisposable>;
}

/** A server for guests who find this machine at the address `host`; `folder` is for its keys. */
export async function timeServer(host: string, folder: string): Promise<TimeServer> {
  await Deno.mkdir(folder, { mode: 0o700 });
  const at = (name: string) => join(folder, name);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];
  await run("openssl", [
    ...["req", "-x509", ...key, "-subj", "/CN=time authority"],
    ...["-keyout", at("ca.key"), "-out", at("ca.pem")],
  ]);
  await run("openssl", [
    ...["req", "-x509", ...key, "-subj", "/CN=time", "-addext", `subjectAltName=IP:${host}`],
    ...["-addext", "basicConstraints=critical,CA:FALSE", "-CA", at("ca.pem"), "-CAkey"],
    ...[at("ca.key"), "-keyout", at("key.pem"), "-out", at("cert.pem")],
  ]);
  return {
    ca: await Deno.readTextFile(at("ca.pem")),
    serve: (root) => serve(root, folder),
  };
}

async function serve(root: string, folder: string): Promise<AsyncDisposable> {
  const conf = join(folder, "chrony.conf");
  await Deno.writeTextFile(
    conf,
    `
local stratum 5
allow 127.0.0.0/8
ntsservercert ${join(folder, "cert.pem")}
ntsserverkey ${join(folder, "key.pem")}
pidfile ${join(folder, "pid")}
bindcmdaddress ${join(folder, "socket")}
cmdport 0
`,
  );
  refuseAnother();
  // That system's own libraries; -x: this machine's clock is nobody's to set.
  const child = new Deno.Command(join(root, "usr/lib64/ld-linux-x86-64.so.2"), {
    args: [
      ...["--library-path", join(root, "usr/lib/x86_64-linux-gnu"), join(root, "usr/sbin/chronyd")],
      ...["-x", "-d", "-u", "root", "-f", conf],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.status;
    },
  };
}

/** chrony would share the ports with another, and a guest be answered by either: its time would never be right. */
function refuseAnother(): void {
  try {
    Deno.listen({ port: NTS_PORT }).close();
  } catch (cause) {
    throw new Error(
      `another server of authenticated time is at port ${NTS_PORT} of this machine, of a test that runs ` +
        `or was killed: stop it; \`ss -ltnp\` says which`,
      { cause },
    );
  }
}
