import type { ReactNode } from "react";

/** A page's title with its figures and actions. */
export function PageHead(
  { title, note, children }: {
    readonly title: string;
    readonly note?: ReactNode;
    readonly children?: ReactNode;
  },
): ReactNode {
  return (
    <header className="page-head">
      <h1>{title}</h1>
      {note !== undefined && <span className="page-note">{note}</span>}
      <div className="page-actions">{children}</div>
    </header>
  );
}
