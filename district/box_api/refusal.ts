import type { RefusalCode } from "../../sync/wire/mod.ts";

/** A box's call that is refused, with its status. */
export class BoxRefusal extends Error {
  /** What the box is told. */
  readonly code: RefusalCode;
  /** The HTTP status. */
  readonly status: number;

  /** Makes a refusal; `detail` is for a person. */
  constructor(status: number, code: RefusalCode, detail: string) {
    super(detail);
    this.name = "BoxRefusal";
    this.code = code;
    this.status = status;
  }
}
