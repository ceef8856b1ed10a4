import assert from "node:assert/strict";
import { RepositoryError } from "../repository/mod.ts";
import { isTokenUri, parseTokenUri } from "./token_key.ts";

Deno.test("a token's key by its URI", () => {
  assert.equal(isTokenUri("root.key"), false);
  assert.deepEqual(
    parseTokenUri(
      "pkcs11:token=root%20wang;object=root?module-path=/usr/lib/softhsm/libsofthsm2.so",
    ),
    { token: "root wang", object: "root", module: "/usr/lib/softhsm/libsofthsm2.so" },
  );
});

Deno.test("what is no URI of a key is refused, a PIN in it above all", () => {
  const bad: [string, RegExp][] = [
    ["root.key", /no token's key/],
    ["pkcs11:", /not understood/],
    ["pkcs11:token=a;object=b", /module-path is missing/],
    ["pkcs11:object=b?module-path=/x", /token is missing/],
    ["pkcs11:token=a;token=b;object=c?module-path=/x", /token is there twice/],
    ["pkcs11:token=%zz;object=c?module-path=/x", /percent-encoded/],
    ["pkcs11:token=a;object=b?module-path=/x&pin-value=1234", /pin-value is not understood/],
    [`pkcs11:token=${"a".repeat(2_000)}`, /no token's key/],
  ];
  for (const [text, says] of bad) {
    assert.throws(() => parseTokenUri(text), (error: Error) => {
      assert.ok(error instanceof RepositoryError);
      assert.match(error.message, says, text);
      return true;
    });
  }
});
