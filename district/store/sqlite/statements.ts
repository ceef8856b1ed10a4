import type { DatabaseSync, StatementSync } from "node:sqlite";

/** Prepares each statement when it is first used. @returns what gives the statement for a text. */
export function statementsOf(db: DatabaseSync): (text: string) => StatementSync {
  const statements = new Map<string, StatementSync>();
  return (text) => {
    let statement = statements.get(text);
    if (statement === undefined) {
      statement = db.prepare(text);
      statements.set(text, statement);
    }
    return statement;
  };
}
