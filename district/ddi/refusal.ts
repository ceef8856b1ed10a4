/** Why a call of an update client is not answered as it wishes. */
export class Refusal extends Error {
  /** HTTP's. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  /** Makes a refusal. */
  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = "Refusal";
    this.status = status;
    this.headers = headers;
  }
}
