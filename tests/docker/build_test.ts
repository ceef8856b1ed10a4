import { deepEqual, doesNotMatch, equal, match, ok } from "node:assert/strict";
import { join } from "node:path";
import { exists, ROOT, run } from "../house/copy.ts";

const SCRIPT = join(ROOT, "tests/docker/build.sh");
const DOCKERFILE = await Deno.readTextFile(join(ROOT, "Dockerfile"));

/** Why images cannot be built here, if they cannot. */
async function obstacle(): Promise<string | undefined> {
  if (Deno.uid() !== 0) return "building images needs root";
  for (const tool of ["buildah", "debootstrap"]) {
    if ((await run(["sh", "-c", `command -v ${tool}`], {})).code !== 0) return `no ${tool} here`;
  }
  return undefined;
}

const reason = await obstacle();
if (reason !== undefined) console.log(`skipped: images are not built: ${reason}`);

async function script(...args: string[]) {
  const ran = await run([SCRIPT, ...args], {});
  equal(ran.code, 0, `build.sh ${args.join(" ")}\n${ran.text}`);
  return ran;
}

/** A container of an image, with the project's examples at hand, removed when disposed of. */
async function container(target: string) {
  const id = (await script("buildah", "from", "--pull-never", `gatehouse-${target}`)).stdout.trim();
  return {
    id,
    run: (...command: string[]) => run([SCRIPT, "buildah", "run", id, "--", ...command], {}),
    async [Symbol.asyncDispose]() {
      await script("buildah", "rm", id);
    },
  };
}

Deno.test("every stage of the Dockerfile stands on debian:12-slim or on another stage", () => {
  const stages = [...DOCKERFILE.matchAll(/^FROM (\S+) AS (\S+)$/gm)].map(([, from, name]) => ({
    from,
    name,
  }));
  equal(stages.length, DOCKERFILE.match(/^FROM /gm)?.length);
  const names = stages.map((stage) => stage.name);
  for (const { from } of stages) ok(from === "debian:12-slim" || names.includes(from), from);
  deepEqual(names.slice(-2).sort(), ["box", "district"]);
});

Deno.test("the images run as gatehouse, not as root", () => {
  for (const target of ["box", "district"]) {
    const stage = DOCKERFILE.slice(DOCKERFILE.indexOf(`AS ${target}\n`)).split(/^FROM /m)[0]!;
    match(stage, /^USER gatehouse$/m);
  }
});

Deno.test({
  name: "the box's image builds, checks a box.yaml and holds nothing of the workshop",
  ignore: reason !== undefined,
  async fn() {
    await script("base");
    await script("image", "box");
    await using box = await container("box");

    const user = await box.run("id", "-u");
    equal(user.stdout.trim(), "900", user.text);

    const help = await box.run("/opt/gatehouse/gatehouse", "--help");
    equal(help.code, 0, help.text);
    match(help.stdout, /^ {2}box /m);

    await script("buildah", "copy", box.id, join(ROOT, "docs/examples"), "/etc/gatehouse");
    for (
      const { name } of [...Deno.readDirSync(join(ROOT, "docs/examples"))].filter(({ name }) =>
        /^box.*\.yaml$/.test(name)
      )
    ) {
      const check = await box.run(
        "/opt/gatehouse/gatehouse",
        "check",
        "--config",
        `/etc/gatehouse/${name}`,
      );
      equal(check.code, 0, `${name}: ${check.text}`);
    }
    const bad = await box.run(
      "/opt/gatehouse/gatehouse",
      "check",
      "--config",
      "/opt/gatehouse/deno.json",
    );
    equal(bad.code, 3, bad.text);

    const files = await box.run("find", "/opt/gatehouse", "-not", "-path", "*/.gatehouse/*");
    equal(files.code, 0, files.text);
    doesNotMatch(
      files.stdout,
      /_test\.ts$|\/(antd|vite|@biomejs|fast-check|playwright-core|district|web)$/m,
    );
    const writable = await box.run("find", "/opt/gatehouse", "-writable", "-not", "-type", "l");
    equal(writable.stdout, "", "the program could change itself");
  },
});

Deno.test({
  name: "the district's image builds and serves its health and its console",
  ignore: reason !== undefined,
  async fn() {
    await script("base");
    await script("image", "district");
    await using district = await container("district");
    const port = freePort();
    // chroot isolation shares the host's network, so the address is one of this machine's loopback.
    const serve = district.run(
      "timeout",
      "--signal=TERM",
      "15",
      "/opt/gatehouse/gatehouse",
      "district",
      "--data",
      "/var/lib/gatehouse",
      "--listen",
      `127.0.0.1:${port}`,
    );
    const health = await poll(`https://127.0.0.1:${port}/healthz`, serve);
    const page = await run(["curl", "--insecure", "--silent", `https://127.0.0.1:${port}/`], {});
    const served = await serve;
    equal(health, "200", served.text);
    match(page.stdout, /<div id=/, page.text + served.text);
    ok(exists(join(ROOT, "web/index.html")));
  },
});

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

/** Status of the first answer, or of none once the server has ended. */
async function poll(url: string, server: Promise<unknown>): Promise<string> {
  let ended = false;
  server.finally(() => ended = true).catch(() => {});
  let status = "none";
  while (!ended && status !== "200") {
    const curl = ["curl", "--insecure", "--silent", "-o", "/dev/null", "-w", "%{http_code}", url];
    status = (await run(curl, {})).stdout;
    await new Promise((done) => setTimeout(done, 200));
  }
  return status;
}
