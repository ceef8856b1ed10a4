import assert from "node:assert/strict";
import { PasswordHasher, randomPassword } from "./password.ts";
import { RateLimit } from "./rate_limit.ts";

Deno.test("a password is known by its hash alone, however it was typed", async () => {
  const hasher = new PasswordHasher();
  const [one, two] = await Promise.all([hasher.hash("péage 门"), hasher.hash("péage 门")]);
  assert.notEqual(one, two);
  assert.match(one, /^scrypt\$32768\$8\$3\$/);
  assert.equal(await hasher.matches("pe\u0301age 门", one), true);
  assert.equal(await hasher.matches("peage 门", one), false);
  assert.equal(await hasher.matches("péage 门", undefined), false);
  await assert.rejects(hasher.matches("x", "plain"), { kind: "data" });
});

Deno.test("hashing is bounded: what is too much is told so", async () => {
  const hasher = new PasswordHasher({ N: 2, r: 8, p: 1 });
  const results = await Promise.allSettled(Array.from({ length: 40 }, () => hasher.hash("x")));
  const refused = results.filter((result) => result.status === "rejected");
  assert.equal(refused.length, 6);
  assert.equal((refused[0] as PromiseRejectedResult).reason.kind, "busy");
});

Deno.test("a random password is typed easily and never twice the same", () => {
  const passwords = new Set(Array.from({ length: 200 }, randomPassword));
  assert.equal(passwords.size, 200);
  for (const password of passwords) {
    assert.match(password, /^([a-hjkmnp-z2-9]{5}-){3}[a-hjkmnp-z2-9]{5}$/);
  }
});

Deno.test("a rate limit counts by key, forgives, forgets by time and is bounded", () => {
  const limit = new RateLimit(2, 1000, 3);
  assert.deepEqual([limit.attempt("a", 0), limit.attempt("a", 1), limit.attempt("a", 2)], [
    0,
    0,
    998,
  ]);
  limit.forgive("a");
  assert.deepEqual([limit.attempt("a", 3), limit.attempt("a", 3)], [0, 997]);
  assert.equal(limit.attempt("b", 3), 0);
  assert.equal(limit.attempt("a", 1000), 0);
  limit.attempt("b", 1001);
  for (const key of ["c", "d", "e"]) limit.attempt(key, 1002);
  // Only three keys are remembered, the ones used last.
  assert.equal(limit.attempt("b", 1003), 0);
  assert.equal(limit.attempt("b", 1003), 0);
  assert.ok(limit.attempt("b", 1003) > 0);
});
