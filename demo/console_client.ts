/**
 * The district's API as an operator's program uses it.
 *
 * @module
 */
import type {
  ApiError,
  CardholderPage,
  EnrolmentToken,
  EventView,
  ImportReport,
  LoginRequest,
  PolicySettings,
} from "../district/api/types.ts";

/** Largest page of events and cardholders. */
const PAGE = 200;

/** An operator who is logged in. */
export class ConsoleClient implements Disposable {
  readonly #url: string;
  readonly #http: Deno.HttpClient;
  #cookie = "";

  private constructor(url: string, caPem: string) {
    this.#url = url;
    this.#http = Deno.createHttpClient({ caCerts: [caPem], http2: false });
  }

  /** Logs in. @throws when the district says no. */
  static async login(url: string, caPem: string, login: LoginRequest): Promise<ConsoleClient> {
    const client = new ConsoleClient(url, caPem);
    const response = await client.#fetch("POST", "/api/session", JSON.stringify(login));
    client.#cookie = response.headers.getSetCookie().map((cookie) => cookie.split(";")[0]).join(
      "; ",
    );
    await response.body?.cancel();
    return client;
  }

  /** Replaces hours and access levels. */
  async putPolicy(settings: PolicySettings): Promise<void> {
    const response = await this.#fetch("PUT", "/api/policy", JSON.stringify(settings));
    await response.body?.cancel();
  }

  /** Imports cardholders from CSV. */
  async importCardholders(csv: string): Promise<ImportReport> {
    return await (await this.#fetch("POST", "/api/cardholders/import", csv, "text/csv")).json();
  }

  /** A one-time token for a new box. */
  async enrolmentToken(): Promise<EnrolmentToken> {
    return await (await this.#fetch("POST", "/api/enrolment-tokens", "{}")).json();
  }

  /** Credential id of each card, by the card's hex. */
  async credentialIds(): Promise<Map<string, number>> {
    const ids = new Map<string, number>();
    for (let offset = 0, total = 1; offset < total; offset += PAGE) {
      const path = `/api/cardholders?offset=${offset}&limit=${PAGE}`;
      const page: CardholderPage = await (await this.#fetch("GET", path)).json();
      total = page.total;
      for (const { cards } of page.items) for (const card of cards) ids.set(card.hex, card.id);
    }
    return ids;
  }

  /** Every event that the district has, newest first. */
  async events(): Promise<EventView[]> {
    const events: EventView[] = [];
    for (;;) {
      const before = events.at(-1) === undefined ? "" : `&beforeId=${events.at(-1)!.id}`;
      const response = await this.#fetch("GET", `/api/events?limit=${PAGE}${before}`);
      const page: EventView[] = await response.json();
      events.push(...page);
      if (page.length < PAGE) return events;
    }
  }

  /** Closes its connections. */
  [Symbol.dispose](): void {
    this.#http.close();
  }

  async #fetch(
    method: string,
    path: string,
    body?: string,
    type = "application/json",
  ): Promise<Response> {
    const response = await fetch(this.#url + path, {
      method,
      client: this.#http,
      headers: {
        cookie: this.#cookie,
        "x-gatehouse-request": "1",
        ...(body === undefined ? {} : { "content-type": type }),
      },
      ...(body === undefined ? {} : { body }),
    });
    if (response.ok) return response;
    const text = await response.text();
    let message = text;
    try {
      message = (JSON.parse(text) as ApiError).error.message;
    } catch {
      // Not the API's own answer: the text says what it is.
    }
    throw new Error(`${method} ${path}: ${response.status} ${message}`);
  }
}
