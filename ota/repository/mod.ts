/**
 * The publisher's side of updates: keys, a TUF repository in a folder, assignments.
 *
 * @module
 */
export { type AssignmentPlan, signAssignment } from "./assign.ts";
export { RepositoryError, type RepositoryErrorKind } from "./errors.ts";
export {
  newKeyFile,
  openKeyFile,
  p256Key,
  PASSPHRASE_CHARS_MIN,
  publicKey,
  publicKeyFromHex,
  publicText,
  type RoleKey,
} from "./keys.ts";
export { addSignature, bytesOf, sha256Of, type Signed, signed } from "./metadata.ts";
export { LIFETIMES, type Lifetimes, Repository, signersOf } from "./repository.ts";
export type { Delegation, RolePlan, RootPlan } from "./roles.ts";
