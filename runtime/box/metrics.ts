import { Counter, Gauge, Histogram, Registry, Summary } from "prom-client";

/** Quantiles of tap-to-relay that `/metrics` shows. */
const QUANTILES = [0.5, 0.9, 0.99, 1];

/** What a box counts, in the text format of Prometheus. Names follow its conventions: base units, `_total`. */
export class BoxMetrics {
  readonly #registry = new Registry();
  /** Cards decided, by `result`: `granted` or the reason of the denial. */
  readonly taps: Counter<"result"> = this.#add(
    new Counter({
      name: "gatehouse_taps_total",
      help: "Cards decided, by result",
      labelNames: ["result"],
      registers: [],
    }),
  );
  /** From the last byte of a card read being readable to the lock's output being driven, in seconds. */
  readonly tapToRelay: Summary = this.#add(
    new Summary({
      name: "gatehouse_tap_to_relay_seconds",
      help: "Last byte of the card readable to lock output driven",
      percentiles: QUANTILES,
      registers: [],
    }),
  );
  /** From `append` to durable, in seconds. */
  readonly append: Histogram = this.#add(
    new Histogram({
      name: "gatehouse_journal_append_seconds",
      help: "Event recorded to event durable",
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
      registers: [],
    }),
  );
  /** Events that could not be stored. */
  readonly appendFailures: Counter = this.#add(
    new Counter({
      name: "gatehouse_journal_append_failures_total",
      help: "Events that could not be stored",
      registers: [],
    }),
  );

  /** Whether the last event that was recorded could not be stored. */
  lastAppendFailed = false;

  #add<T extends Counter | Gauge | Histogram | Summary>(metric: T): T {
    this.#registry.registerMetric(metric);
    return metric;
  }

  /** Adds a gauge whose value is asked for at each scrape. */
  gauge(name: string, help: string, read: () => number): void {
    this.#add(
      new Gauge({
        name,
        help,
        registers: [],
        collect() {
          this.set(read());
        },
      }),
    );
  }

  /** Everything as text, format 0.0.4. */
  async text(): Promise<string> {
    return await this.#registry.metrics();
  }
}
