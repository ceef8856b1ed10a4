import type { FrameFinder } from "../../serial_questions.ts";

/** What a module said of the card on it. */
export type ModuleReading =
  | { readonly kind: "none" }
  | { readonly kind: "card"; readonly uid: Uint8Array }
  | { readonly kind: "fault"; readonly what: string };

/** How a family of modules speaks. Frames are given from the command on, without the checksum. */
export interface ModuleProtocol {
  /** For messages. */
  readonly name: string;
  readonly finder: () => FrameFinder<Uint8Array>;
  /** Asks for the UID of the card in the field. */
  readonly select: Uint8Array;
  /** Whether a frame answers that. */
  readonly selects: (frame: Uint8Array) => boolean;
  readonly read: (frame: Uint8Array) => ModuleReading;
  /** Asks for the firmware's name, where the family has such a command. */
  readonly firmware?: {
    readonly question: Uint8Array;
    readonly answers: (frame: Uint8Array) => boolean;
    readonly read: (frame: Uint8Array) => string;
  };
  /** Lights the module's own LED, where it has one. */
  readonly light?: {
    readonly question: (on: boolean) => Uint8Array;
    readonly answers: (frame: Uint8Array) => boolean;
  };
}
