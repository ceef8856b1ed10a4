/** What can be wrong with the store, by what is to be done about it. */
export type StoreFaultKind =
  /** The file cannot be trusted any more: replace it. */
  | "corrupt"
  /** No room: free some, or wait for it. */
  | "full"
  /** The disk gave an error: open the file again. */
  | "io"
  /** Anything else, such as another process that holds the file. */
  | "other";

/** A fault of the store, on the worker's side. */
export class StoreFault extends Error {
  /** What is to be done about it. */
  readonly kind: StoreFaultKind;

  /** Says what was found. */
  constructor(kind: StoreFaultKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "StoreFault";
    this.kind = kind;
  }
}

/**
 * Primary result codes (https://www.sqlite.org/rescode.html) that do not speak of the file's content.
 * Every other one does: the statements are always the same and were right when it was sound. READONLY
 * is among those, since one wrong byte of the header makes a file so; where the disk is what is
 * read-only, replacing the file fails without having touched it.
 */
const KIND_OF_CODE: Readonly<Record<number, StoreFaultKind>> = {
  5: "other", // BUSY
  6: "other", // LOCKED
  7: "other", // NOMEM
  9: "other", // INTERRUPT
  10: "io", // IOERR
  13: "full", // FULL
  14: "other", // CANTOPEN
};

/** `SQLITE_IOERR_SHMOPEN`, `_SHMSIZE` and `_SHMMAP`: the WAL's index has no room on the disk. */
const SHM_CODES: ReadonlySet<number> = new Set([4618, 4874, 5386]);

/** `exec` gives no result code, only the text that SQLite has for it. */
const KIND_OF_TEXT: readonly (readonly [RegExp, StoreFaultKind])[] = [
  [/is locked|out of memory|interrupted|unable to open/i, "other"],
  [/disk is full/i, "full"],
  [/disk I\/O error/i, "io"],
];

/** Sorts what SQLite or the file system threw. */
export function storeFault(error: unknown): StoreFault {
  if (error instanceof StoreFault) return error;
  const { message, name, code, errcode } = error as Error & { code?: string; errcode?: number };
  return new StoreFault(kindOf(message, name, code, errcode), message, { cause: error });
}

function kindOf(message: string, name: string, code?: string, errcode?: number): StoreFaultKind {
  if (name === "BlockError") return "corrupt";
  // A number that no JavaScript number can hold: nothing counts that far.
  if (code === "ERR_OUT_OF_RANGE") return "corrupt";
  if (code === "ERR_SQLITE_ERROR") {
    if (errcode === undefined) {
      return KIND_OF_TEXT.find(([text]) => text.test(message))?.[1] ?? "corrupt";
    }
    if (SHM_CODES.has(errcode)) return "full";
    return KIND_OF_CODE[errcode & 0xff] ?? "corrupt";
  }
  return /no space left|quota exceeded/i.test(message) ? "full" : "other";
}
