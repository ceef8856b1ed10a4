import { Metadata, type MetadataKind, type Root, type Targets } from "@tufjs/models";
import { writeFileDurably } from "../../hal/mod.ts";
import { RepositoryError, type Signed } from "../repository/mod.ts";

/** The largest targets role that anybody signs. */
const DRAFT_BYTES_MAX = 4 << 20;

/** Metadata on its way between the machines that hold its keys. */
export interface Draft {
  readonly role: string;
  readonly metadata: Metadata<Signed>;
}

/** Writes a draft to `file`. */
export function writeDraft(file: string, { role, metadata }: Draft): void {
  writeFileDurably(
    file,
    JSON.stringify({ role, metadata: metadata.toJSON() }, null, 1) + "\n",
    0o644,
  );
}

/** Reads a draft. @throws {@link RepositoryError} `metadata` */
export function readDraft(file: string): Draft {
  try {
    if (Deno.statSync(file).size > DRAFT_BYTES_MAX) throw new Error("it is too large");
    const { role, metadata } = JSON.parse(Deno.readTextFileSync(file));
    if (typeof role !== "string") throw new Error("it names no role");
    const kind = (role === "root" ? "root" : "targets") as MetadataKind.Root;
    return { role, metadata: Metadata.fromJSON(kind, metadata) as Metadata<Root | Targets> };
  } catch (cause) {
    throw new RepositoryError(
      "metadata",
      `${file} is no draft: ${
        (cause as Error).message
      }; make one with gatehouse ota root, delegate or release`,
      { cause },
    );
  }
}
