/**
 * The system's back end over starts of the machine. RAUC and the firmware are stood in for by what they
 * promise: a slot is whole after `install`, what is tried is forgotten by the start that tries it.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { HalError } from "../../hal/mod.ts";
import { linuxClock } from "../../hal/linux/mod.ts";
import { UpdateFault } from "../agent/mod.ts";
import type { Wanted } from "../agent/mod.ts";
import type { RepositorySource, TrustedTarget, UpdateTrust } from "../trust/mod.ts";
import { ImageBackEnd, type SlotName, type SystemRauc } from "./mod.ts";

const clock = linuxClock();
const never = new AbortController().signal;
const BUNDLE = new Uint8Array(randomBytes(20_000));
const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** A release, and what the publisher says of it. */
function release(version: string, compatible = "gatehouse-amd64") {
  const path = `os/${version}/${compatible}.raucb`;
  const sha256 = hash(new TextEncoder().encode(path));
  const wanted: Wanted = { version, path, sha256, action: version };
  const target = {
    ...{ path, sha256, lengthBytes: BUNDLE.length },
    custom: {
      ...{ schema: 1, kind: "os", version, compatible, releasedMs: 1 },
      tail: { bytes: 1_000, sha256: hash(BUNDLE.subarray(BUNDLE.length - 1_000)) },
    },
  } as unknown as TrustedTarget;
  return { wanted, target };
}

/** A card with two slots. */
async function card(targets: readonly TrustedTarget[]) {
  const dir = await Deno.makeTempDir({ prefix: "image-back-end-" });
  const state: { stays: SlotName; runs: SlotName; tried?: SlotName; broken?: string } = {
    ...{ stays: "A", runs: "A" },
  };
  const rauc: SystemRauc = {
    status: () =>
      Promise.resolve({
        ...{ compatible: "gatehouse-amd64", booted: state.runs },
        next: state.tried ?? state.stays,
      }),
    async install(url) {
      if (state.broken !== undefined) throw new HalError("protocol", state.broken);
      const answer = await fetch(url, { headers: { range: "bytes=0-999" } });
      await answer.body?.cancel();
      assert.equal(answer.status, 206);
    },
    activate(which) {
      if (state.broken !== undefined) return Promise.reject(new HalError("io", state.broken));
      if (which === "booted") delete state.tried;
      else state.tried = state.runs === "A" ? "B" : "A";
      return Promise.resolve();
    },
    keep() {
      state.stays = state.runs;
      return Promise.resolve();
    },
  };
  const source: RepositorySource = {
    get: (_path, _signal, from = 0, bytes = Infinity) =>
      Promise.resolve({ status: 206, body: new Blob([BUNDLE.slice(from, from + bytes)]).stream() }),
  };
  const trust = {
    look: (_: AbortSignal, act: (view: unknown) => unknown) =>
      Promise.resolve(act({
        target: (path: string) => Promise.resolve(targets.find((one) => one.path === path)),
      })),
  } as unknown as UpdateTrust;
  let reboots = 0;
  const start = async () => {
    const status = await rauc.status();
    const reboot = () => Promise.resolve(void reboots++);
    return new ImageBackEnd({ dir, rauc, status, trust, source, clock, reboot });
  };
  /** The next start; `up`: whether what is tried comes as far as its updater. */
  const restart = async (up = true) => {
    const tried = state.tried;
    delete state.tried;
    state.runs = up && tried !== undefined ? tried : state.stays;
    return await start();
  };
  return {
    ...{ state, start, restart, dir, reboots: () => reboots },
    async [Symbol.asyncDispose]() {
      await Deno.remove(dir, { recursive: true });
    },
  };
}

Deno.test("a system is written, tried, kept; the other slot keeps the one before", async () => {
  const [one, two] = [release("1.0.0"), release("2.0.0")];
  await using at = await card([one.target, two.target]);
  let box = await at.start();
  assert.equal(box.running(), undefined);
  for (const { wanted } of [one, two]) {
    await box.fetch(wanted, never);
    await box.stage(wanted);
    await box.switch(wanted);
    box = await at.restart();
    assert.equal(box.running(), wanted.sha256);
    await box.confirm();
    box = await at.restart();
    assert.equal(box.running(), wanted.sha256);
  }
  assert.deepEqual([at.state.stays, at.reboots()], ["A", 2]);
  // What the other slot holds is not written again.
  at.state.broken = "must not be asked";
  await box.fetch(one.wanted, never);
});

Deno.test("what does not come up is tried twice and given up; what is not confirmed is gone", async () => {
  const { wanted, target } = release("1.0.0");
  await using at = await card([target]);
  let box = await at.start();
  await box.fetch(wanted, never);
  await box.switch(wanted);
  box = await at.restart(false);
  assert.deepEqual([box.running(), box.gaveUpOn()], [undefined, undefined]);
  await box.switch(wanted);
  box = await at.restart(false);
  assert.equal(box.gaveUpOn(), wanted.sha256);
  await box.clean();
  assert.equal(box.gaveUpOn(), undefined);
  await box.switch(wanted);
  box = await at.restart();
  assert.equal(box.running(), wanted.sha256);
  // The machine is cut off before it is confirmed.
  box = await at.restart();
  assert.equal(box.running(), undefined);
});

Deno.test("what fails leaves nothing that a reset would try, and says whose fault it is", async () => {
  const { wanted, target } = release("1.0.0");
  const other = release("1.0.0", "gatehouse-pi");
  await using at = await card([target, other.target]);
  const box = await at.start();
  const fault = (reason: string, final: boolean) => (error: Error) =>
    error instanceof UpdateFault && error.reason === reason && error.final === final;
  await assert.rejects(box.fetch(other.wanted, never), fault("refused", true));
  await assert.rejects(box.fetch(release("9.0.0").wanted, never), fault("refused", true));
  await assert.rejects(box.switch(wanted), fault("spoilt", true));
  at.state.broken = "no space on the device";
  await assert.rejects(box.fetch(wanted, never), fault("spoilt", false));
  delete at.state.broken;
  await box.fetch(wanted, never);
  at.state.broken = "this machine was not started by UEFI";
  await assert.rejects(box.switch(wanted), fault("internal", true));
  delete at.state.broken;
  assert.equal(at.state.tried, undefined);
  // Another system may not be written while one is on trial; what is spoilt is forgotten.
  at.state.tried = "B";
  await Deno.writeTextFile(join(at.dir, "slots.json"), '{"A": 5, "B": ');
  const forgetful = await at.start();
  assert.equal(forgetful.running(), undefined);
  await assert.rejects(forgetful.fetch(wanted, never), fault("internal", false));
});
