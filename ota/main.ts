/**
 * The publisher's program, `gatehouse ota`: keys, the signed word of what boxes may install, and the
 * releases themselves. It runs on the publisher's machines, those with the keys offline.
 *
 * @module
 */
import * as v from "valibot";
import { EXIT, UsageError } from "../cli/args.ts";
import { processClock } from "../hal/linux/mod.ts";
import { OTA_COMMANDS } from "./cli/commands.ts";
import { RepositoryError } from "./repository/mod.ts";

const HELP = `
gatehouse ota COMMAND [OPTION…]

Makes and keeps the repository of updates: who may sign what, and what there is to install.

  key new FILE                            makes a key, protected by a passphrase; prints its public half
  key show FILE                           prints the public half
  root --repo DIR --plan FILE             drafts the next root: first keys, rotation, a lost key
  delegate --repo DIR --plan FILE         drafts who speaks for which files
  release --repo DIR --version V --from FOLDER [--arch x64|arm64|any] [--days N]
                                          packs the application, with deltas; drafts it
  release --repo DIR --version V --bundle FILE.raucb --compatible gatehouse-amd64|gatehouse-pi
                                          drafts a system that gatehouse image build has packed
  release --repo DIR --version V --reader-firmware FILE --vendor OUI --model N [--file-type N]
                                          drafts firmware for readers of a model; V is what they then say
  release --repo DIR --version V --configurations FOLDER
                                          drafts boxes' configurations: FOLDER has an ID.yaml for each
  release --repo DIR --version V --settings FILE --district NAME
                                          drafts hours, holidays and access levels of a policy
  sign DRAFT --key FILE                   adds a signature; needs no repository
  accept DRAFT --repo DIR                 takes a draft that enough keys have signed
  publish --repo DIR --snapshot-key FILE --timestamp-key FILE
                                          shows the boxes what was accepted
  status --repo DIR [--json]              roles, keys, and how long each is good

  FILE of a key may be one in a token:    pkcs11:token=LABEL;object=LABEL?module-path=LIBRARY
  --passphrase-file FILE                  its first line, instead of asking; a token's PIN

docs/district/keys.md tells how a key ceremony goes.
Exit codes: 0 done, 1 failed or something is expired, 2 bad usage, 3 a key or file is not good.
`;

async function main(): Promise<number> {
  const args = Deno.args[0] === "ota" ? Deno.args.slice(1) : [...Deno.args];
  if (args.includes("--help") || args.includes("-h")) {
    console.log(HELP.trim());
    return EXIT.ok;
  }
  const command = OTA_COMMANDS[args[0] ?? ""];
  try {
    if (command === undefined) throw new UsageError(`there is no command ${args[0] ?? ""}`);
    return await command(args.slice(1), processClock());
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`gatehouse ota: ${error.message}; see gatehouse ota --help`);
      return EXIT.usage;
    }
    if (error instanceof RepositoryError || error instanceof Deno.errors.NotFound) {
      console.error(`gatehouse ota: ${error.message}`);
      return EXIT.badInput;
    }
    if (error instanceof v.ValiError) {
      const [issue] = error.issues;
      console.error(`gatehouse ota: ${v.getDotPath(issue) ?? "the release"}: ${issue.message}`);
      return EXIT.badInput;
    }
    throw error;
  }
}

if (import.meta.main) Deno.exit(await main());
