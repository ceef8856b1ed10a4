import { equal, match, ok } from "node:assert/strict";
import { join } from "node:path";
import { exists, ROOT, run } from "./copy.ts";

const LAUNCHER = join(ROOT, "gatehouse");
const PINNED = /^DENO_VERSION=(\S+)$/m.exec(await Deno.readTextFile(LAUNCHER))![1]!;
const BASE_TOOLS = [
  "basename",
  "cat",
  "chmod",
  "cut",
  "dirname",
  "dpkg-query",
  "find",
  "flock",
  "grep",
  "gzip",
  "id",
  "mkdir",
  "mktemp",
  "mv",
  "readlink",
  "rm",
  "sed",
  "sha256sum",
  "sha512sum",
  "sh",
  "sort",
  "tail",
  "tar",
  "uname",
];

/** A folder with the launcher alone, and a PATH of nothing but basic tools and the fakes given. */
async function bareMachine(fakes: Readonly<Record<string, string>>) {
  const path = await Deno.makeTempDir({ prefix: "gatehouse-bare-" });
  await Deno.copyFile(LAUNCHER, join(path, "gatehouse"));
  await Deno.writeTextFile(
    join(path, "deno.json"),
    `{\n  "version": "9.9.9",\n  "imports": {}\n}\n`,
  );
  await Deno.writeTextFile(join(path, "deno.lock"), `{ "version": "5" }\n`);
  await Deno.mkdir(join(path, "tools"));
  for (const tool of BASE_TOOLS) {
    const found = (await run(["sh", "-c", `command -v ${tool}`], {})).stdout.trim();
    if (found !== "") await Deno.symlink(found, join(path, "tools", tool));
  }
  for (const [name, script] of Object.entries(fakes)) {
    await Deno.writeTextFile(join(path, "tools", name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  return {
    path,
    launch: (...args: string[]) =>
      run([join(path, "gatehouse"), ...args], {
        clearEnv: true,
        env: { PATH: join(path, "tools"), HOME: path },
      }),
    [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }),
  };
}

const DENO_OF_PATH =
  `[ "$1" = --version ] && echo 'deno ${PINNED} (stable)'\n[ "$1" = install ] && ${`mkdir -p node_modules && echo run >>installs`}\nexit 0`;

Deno.test("the launcher is plain POSIX sh", async () => {
  const parsed = await run(["dash", "-n", LAUNCHER], {});
  equal(parsed.code, 0, parsed.text);
  const checked = await run(["shellcheck", "--shell=sh", LAUNCHER, join(ROOT, ".ci/run")], {});
  equal(checked.code, 0, checked.text);
});

Deno.test("help lists every command; an unknown one is bad usage", async () => {
  const help = await run([LAUNCHER, "--help"], {});
  equal(help.code, 0);
  for (
    const command
      of "demo box check doctor learn io district enrol policy events test bench version help"
        .split(
          " ",
        )
  ) match(help.stdout, new RegExp(`^  ${command} `, "m"));
  const unknown = await run([LAUNCHER, "frobnicate"], {});
  equal(unknown.code, 2);
  match(unknown.text, /no command 'frobnicate'; gatehouse help/);
  equal(unknown.stdout, "");
  equal((await run([LAUNCHER], {})).code, 2);
});

Deno.test("it finds its folder from anywhere, through a relative symbolic link", async () => {
  using machine = await bareMachine({ deno: DENO_OF_PATH });
  await Deno.mkdir(join(machine.path, "bin"));
  await Deno.symlink("../gatehouse", join(machine.path, "bin/gh"));
  await Deno.symlink("bin/gh", join(machine.path, "gh"));
  const env = { PATH: join(machine.path, "tools"), HOME: machine.path };
  const ran = await run([join(machine.path, "gh"), "version"], { cwd: "/", clearEnv: true, env });
  equal(ran.stdout, `gatehouse 9.9.9\ndeno ${PINNED}\n`, ran.text);
});

Deno.test("a Deno of the right version on PATH is used, and set-up done once is quiet", async () => {
  using machine = await bareMachine({ deno: DENO_OF_PATH });
  const first = await machine.launch("version");
  equal(first.code, 0, first.text);
  match(first.text, /installing dependencies/);
  const second = await machine.launch("version");
  equal(second.text, `gatehouse 9.9.9\ndeno ${PINNED}\n`);
  equal(await Deno.readTextFile(join(machine.path, "installs")), "run\n");
});

Deno.test("launchers started together set up once", async () => {
  using machine = await bareMachine({
    deno: DENO_OF_PATH.replace("mkdir", "/bin/sleep 0.3 && mkdir"),
  });
  const all = await Promise.all(Array.from({ length: 4 }, () => machine.launch("version")));
  for (const ran of all) equal(ran.code, 0, ran.text);
  equal(await Deno.readTextFile(join(machine.path, "installs")), "run\n");
});

Deno.test("a Deno of another version is not used; without a network the message says what to do", async () => {
  using machine = await bareMachine({
    deno: "echo 'deno 1.0.0 (stable)'",
    npm: "echo 'npm ERR! network ENOTFOUND' >&2; exit 1",
    curl: "exit 6",
  });
  const ran = await machine.launch("version");
  equal(ran.code, 1, ran.text);
  match(ran.text, /npm could not bring it: npm ERR! network ENOTFOUND/);
  match(ran.text, /With no network, put that version's deno on PATH or into/);
  ok(!exists(join(machine.path, ".gatehouse/bin/deno")));
});

Deno.test("bytes with a wrong checksum never run, whichever way they come", async () => {
  using machine = await bareMachine({
    npm:
      `echo forged >deno-linux-x64-glibc-${PINNED}.tgz; echo forged >deno-linux-arm64-glibc-${PINNED}.tgz`,
    // curl -o FILE URL: the last two arguments but one.
    curl: `while [ "$1" != -o ]; do shift; done; echo forged >"$2"`,
    // unzip -q -o ARCHIVE deno -d FOLDER
    unzip: `printf '#!/bin/sh\\necho "deno ${PINNED} (stable)"\\n' >"$6/deno"`,
  });
  const ran = await machine.launch("version");
  equal(ran.code, 1, ran.text);
  equal(ran.text.match(/wrong checksum, thrown away/g)?.length, 2, ran.text);
  match(ran.text, /not the program expected, thrown away/);
  ok(!exists(join(machine.path, ".gatehouse/bin/deno")));
});

Deno.test("arguments decide what a program may touch; a comma in a path is no second path", async () => {
  using machine = await bareMachine({
    deno: DENO_OF_PATH.replace("\nexit 0", '\n[ "$1" = run ] && for a; do echo "$a"; done\nexit 0'),
  });
  const box = await machine.launch("box", "--config=/etc/a,b.yaml", "--data", "/srv/box");
  const lines = box.stdout.split("\n");
  ok(
    lines.includes(`--allow-read=${machine.path},/srv/box,/etc/a,,b.yaml,/etc/alpine-release`),
    box.stdout,
  );
  ok(lines.includes("--allow-write=/srv/box"), box.stdout);
  ok(lines.includes("--permission-set=box") && lines.includes("--no-prompt"), box.stdout);
  ok(!/allow-all|^-A$/m.test(box.stdout));
  const check = await machine.launch("check", "--config", "/etc/box.yaml");
  ok(!check.stdout.includes("--allow-write"), check.stdout);
  const policy = await machine.launch("policy", "--data", "/srv/box", "load", "people.yaml");
  ok(policy.stdout.includes(`--allow-read=${machine.path},/srv/box,people.yaml\n`), policy.stdout);
});

Deno.test("a read-only installation runs with what it has, and sets nothing up", async () => {
  using machine = await bareMachine({ deno: DENO_OF_PATH });
  // Root may write anywhere, but not into a folder as if it were a file.
  await Deno.mkdir(join(machine.path, ".gatehouse/lock"), { recursive: true });
  const ran = await machine.launch("version");
  equal(ran.text, `gatehouse 9.9.9\ndeno ${PINNED}\n`);
  equal(ran.code, 0);
  ok(!exists(join(machine.path, "installs")));
});

Deno.test("the program's exit code and signals are its own", async () => {
  using machine = await bareMachine({
    deno: DENO_OF_PATH.replace("\nexit 0", '\n[ "$1" = run ] && exec /bin/sleep 60\nexit 0'),
  });
  const child = new Deno.Command(join(machine.path, "gatehouse"), {
    args: ["box", "--config", "x"],
    clearEnv: true,
    env: { PATH: join(machine.path, "tools"), HOME: machine.path },
    stdout: "null",
    stderr: "null",
  }).spawn();
  // Once it is the program, its command line says so; bounded at five seconds.
  for (let tries = 0; tries < 100; tries++) {
    if ((await Deno.readTextFile(`/proc/${child.pid}/cmdline`)).startsWith("/bin/sleep")) break;
    await new Promise((done) => setTimeout(done, 50));
  }
  child.kill("SIGTERM");
  equal((await child.status).signal, "SIGTERM");
});
