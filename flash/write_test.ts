import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { renderSetup, SETUP_BYTES } from "../runtime/setup/mod.ts";
import { flash, FlashError, type FlashOptions } from "./write.ts";

const MIB = 1 << 20;
const BYTES = 11 * MIB + 512;
/** Over the border of what is written at once. */
const OFFSET = 4 * MIB - SETUP_BYTES / 2;
const SETUP = renderSetup({ box: { name: "east-gate" }, network: {} });

interface Bench extends AsyncDisposable {
  readonly image: Uint8Array;
  readonly options: FlashOptions;
  readonly target: string;
}

async function bench(): Promise<Bench> {
  const folder = await Deno.makeTempDir({ prefix: "flash-" });
  const image = new Uint8Array(randomBytes(BYTES));
  image.set(renderSetup(undefined), OFFSET);
  const source = join(folder, "card.img.zst");
  await Deno.writeFile(source, zstdCompressSync(image));
  const target = join(folder, "card");
  // A card that was used before: whatever is not written must not matter.
  await Deno.writeFile(target, new Uint8Array(16 * MIB).fill(0xee));
  const sha256 = createHash("sha256").update(image).digest("hex");
  return {
    image,
    target,
    options: {
      ...{ source, target, targetBytes: 16 * MIB, setup: SETUP },
      facts: {
        image: { bytes: BYTES, sha256 },
        setup: { offset: OFFSET, bytes: SETUP_BYTES },
      },
      forget: () => Promise.resolve(),
      onProgress: () => {},
    },
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

const startable = (card: Uint8Array) => card.subarray(0, MIB).some((byte) => byte !== 0);

Deno.test("a card is the image with its settings, and no table of an older card stays", async () => {
  await using at = await bench();
  const told: string[] = [];
  await flash({ ...at.options, onProgress: (doing, bytes) => told.push(`${doing} ${bytes}`) });
  const card = await Deno.readFile(at.target);
  const wanted = at.image.slice();
  wanted.set(SETUP, OFFSET);
  assert.deepEqual(card.subarray(0, BYTES), wanted);
  assert.ok(card.subarray(15 * MIB).every((byte) => byte === 0));
  assert.ok(told.includes(`writing ${BYTES}`) && told.includes(`verifying ${BYTES}`));
});

Deno.test("an image that is not what its description says makes no card", async () => {
  await using at = await bench();
  const { facts, source } = at.options;
  const spoilt = async (change: Partial<FlashOptions>, why: RegExp) => {
    await assert.rejects(flash({ ...at.options, ...change }), (error: Error) => {
      assert.ok(error instanceof FlashError, error.stack);
      assert.match(error.message, why);
      return true;
    });
    assert.ok(!startable(await Deno.readFile(at.target)), "it could be started");
  };
  const other = { ...facts.image, sha256: "0".repeat(64) };
  await spoilt({ facts: { ...facts, image: other } }, /damaged/);
  await spoilt({ facts: { ...facts, image: { ...facts.image, bytes: BYTES - 1 } } }, /longer/);
  await spoilt({ facts: { ...facts, image: { ...facts.image, bytes: BYTES + 1 } } }, /damaged/);
  const packed = await Deno.readFile(source);
  await Deno.writeFile(source, packed.subarray(0, packed.length / 2));
  await spoilt({}, /cannot be read|damaged/);
  await Deno.writeFile(source, packed.fill(7, 5_000, 6_000));
  await spoilt({}, /cannot be read|damaged/);
});

Deno.test("a card that gives back something else is found out, and starts nothing", async () => {
  await using at = await bench();
  const forget = async () => {
    using file = await Deno.open(at.target, { write: true });
    await file.seek(9 * MIB, Deno.SeekMode.Start);
    await file.write(new Uint8Array([at.image[9 * MIB]! ^ 1]));
  };
  await assert.rejects(flash({ ...at.options, forget }), /use another card/);
  assert.ok(!startable(await Deno.readFile(at.target)));
});

Deno.test("a card that takes no more says where", async () => {
  await using at = await bench();
  await assert.rejects(
    flash({ ...at.options, target: "/dev/full", targetBytes: BYTES }),
    /full took no more .*flash it again/,
  );
  await assert.rejects(flash({ ...at.options, target: `${at.target}-gone` }), /cannot be opened/);
});
