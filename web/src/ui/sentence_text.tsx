import type { ReactNode } from "react";
import type { Sentence } from "../i18n/mod.ts";

/** A sentence with what it is about in bold. */
export function SentenceText({ sentence }: { readonly sentence: Sentence }): ReactNode {
  return sentence.map((part, index) =>
    part.strong ? <b key={index}>{part.text}</b> : <span key={index}>{part.text}</span>
  );
}
