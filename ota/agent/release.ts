import { type TrustedTarget, type TrustedView, TrustError } from "../trust/mod.ts";
import { HalError } from "../../hal/mod.ts";
import { UpdateFault } from "./back_end.ts";
import type { Wanted } from "./machine.ts";

/**
 * What the publisher says of a wanted target, its description read by `parse`.
 *
 * @throws {@link UpdateFault} `refused`: it is another, or this box does not understand it.
 */
export async function releaseOf<T>(
  view: Pick<TrustedView, "target">,
  { path, sha256 }: Wanted,
  parse: (raw: unknown) => T,
): Promise<{ readonly target: TrustedTarget; readonly release: T }> {
  const target = await view.target(path);
  if (target === undefined || target.sha256 !== sha256) {
    throw new UpdateFault("refused", `${path} is not in the repository`, true);
  }
  try {
    return { target, release: parse(target.custom) };
  } catch (cause) {
    const why = `this box does not understand its description: ${(cause as Error).message}`;
    throw new UpdateFault("refused", `${path}: ${why}`, true, { cause });
  }
}

/** Whatever `act` throws becomes what the district is told. @throws {@link UpdateFault} */
export async function withFaults(act: () => Promise<void>, signal: AbortSignal): Promise<void> {
  try {
    await act();
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof UpdateFault) throw cause;
    const { message } = cause as Error;
    throw new UpdateFault(reasonOf(cause), message, false, { cause });
  }
}

function reasonOf(cause: unknown): UpdateFault["reason"] {
  if (!(cause instanceof TrustError)) return cause instanceof HalError ? "spoilt" : "internal";
  if (cause.kind === "store") return "no-space";
  return cause.kind === "refused" || cause.kind === "expired" ? "refused" : "unreachable";
}
