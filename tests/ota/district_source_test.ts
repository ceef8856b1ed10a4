/**
 * A district as the source of TUF metadata and files: what verifies them is the box's own code, over
 * HTTPS. A district that lies is found out by it.
 */
import assert from "node:assert/strict";
import { basename, dirname, join } from "node:path";
import { type DdiClient, UpdateDesk } from "../../district/testing/updates.ts";
import { TestDistrict } from "../../district/testing/district.ts";
import { linuxClock } from "../../hal/linux/mod.ts";
import { download } from "../../ota/fetch/mod.ts";
import { Publisher } from "../../ota/testing/mod.ts";
import { type RepositorySource, TimeFloor, TrustError, UpdateTrust } from "../../ota/trust/mod.ts";

const clock = linuxClock();
const never = new AbortController().signal;
const PATH = "app/1.2.3/gatehouse.tar.zst";
const CONTENT = "a release of the application\n".repeat(30_000);

/** Asks as a box would, with its token; the first answer of a file is cut after `cutBytes`. */
function source(test: TestDistrict, { id, token }: DdiClient, cutBytes?: number) {
  const asked: string[] = [];
  let isCut = cutBytes === undefined;
  const get: RepositorySource["get"] = async (path, signal, fromByte = 0) => {
    asked.push(`${path} ${fromByte}`);
    const response = await test.fetch(`/DEFAULT/controller/v1/${id}/tuf/${path}`, {
      headers: {
        authorization: `TargetToken ${token}`,
        ...fromByte === 0 ? {} : { range: `bytes=${fromByte}-` },
      },
      signal,
    });
    const { status, body } = response;
    if (isCut || !path.startsWith("targets/") || body === null) return { status, body };
    isCut = true;
    let left = cutBytes!;
    const cut = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        controller.enqueue(chunk.subarray(0, left));
        left -= Math.min(left, chunk.length);
        if (left === 0) controller.error(new Error("the line was cut"));
      },
    });
    return { status, body: body.pipeThrough(cut) };
  };
  return { asked, get };
}

Deno.test("a box verifies and fetches over a district what was signed, and nothing else", async () => {
  await using test = await TestDistrict.open(clock);
  const folder = await Deno.makeTempDir({ prefix: "district-source-" });
  try {
    const publisher = await Publisher.begin(join(test.dataDir, "updates"), clock.wallMs());
    await publisher.release("1.2.3", CONTENT);
    await publisher.publish();
    const client = await new UpdateDesk(test).client("gate-1");
    const from = source(test, client, 100_000);
    const floor = new TimeFloor(join(folder, "floor"), clock.wallMs(), clock);
    const dir = join(folder, "trust");
    const root = publisher.rootBytes();
    const trust = new UpdateTrust({ dir, root, source: from, clock, floor });
    const target = await trust.look(never, (view) => view.target(PATH));
    assert.ok(target !== undefined);
    const fetching = (file: string) =>
      download(target, { source: from, clock, file: join(folder, file) }, never);
    await assert.rejects(fetching("app"), TrustError);
    await fetching("app");
    assert.equal(await Deno.readTextFile(join(folder, "app")), CONTENT);
    const parts = from.asked.filter((each) => each.startsWith("targets/"));
    assert.equal(parts.length, 2, parts.join());
    assert.ok(!parts[1]!.endsWith(" 0"), "the second try began anew");

    const name = `${target.sha256}.${basename(PATH)}`;
    const stored = join(test.dataDir, "updates", "targets", dirname(PATH), name);
    await Deno.writeTextFile(stored, CONTENT.replace("release", "exploit"));
    await assert.rejects(fetching("other"), { kind: "refused" });
    // Metadata that nobody signed, as whoever has stolen the server would lay it there.
    const forged = join(test.dataDir, "updates", "metadata", "timestamp.json");
    const { signed, signatures } = JSON.parse(await Deno.readTextFile(forged));
    const later = { signatures, signed: { ...signed, version: signed.version + 1 } };
    await Deno.writeTextFile(forged, JSON.stringify(later));
    await assert.rejects(trust.look(never, (view) => view.target(PATH)), TrustError);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
