/** What the build may not inherit: it must not depend on who builds. */
const ENVIRONMENT = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LC_ALL: "C.UTF-8",
  TZ: "UTC",
  DEBIAN_FRONTEND: "noninteractive",
} as const;

/** How this machine reaches packages, and whom it trusts for them, is its own matter. */
const PASSED_ON = [
  ...["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"],
  ...["npm_config_registry", "HOME", "DENO_DIR"],
  ...["DENO_CERT", "DENO_TLS_CA_STORE", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"],
];

function environment(): Record<string, string> {
  const passed = PASSED_ON.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  });
  return { ...Object.fromEntries(passed), ...ENVIRONMENT };
}

/** What a program of the build is given besides its arguments. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** Runs a program; its standard output. @throws with what it said when it fails. */
export async function run(
  program: string,
  args: readonly string[],
  { cwd, env = {}, input }: RunOptions = {},
): Promise<string> {
  const child = new Deno.Command(program, {
    args: [...args],
    clearEnv: true,
    env: { ...environment(), ...env },
    ...cwd === undefined ? {} : { cwd },
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  if (input !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
  }
  const { success, code, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  if (success) return text.decode(stdout);
  const said = `${text.decode(stdout)}\n${text.decode(stderr)}`.trim().slice(-2_000);
  throw new Error(`${program} ${args.join(" ").slice(0, 200)} ended with ${code}:\n${said}`);
}
