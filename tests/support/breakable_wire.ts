/** Passes connections on to a port; each may be cut after so many bytes, either way. */
export class BreakableWire implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open = new Set<() => void>();
  readonly #accepting: Promise<void>;
  /** Bytes that a new connection lives for; `Infinity` by default. */
  life: () => number = () => Infinity;
  /** Refuses new connections. */
  down = false;
  /** Connections that were cut at the end of their life. */
  cuts = 0;

  /** Listens on a free port of the loopback. */
  constructor(port: number) {
    this.#accepting = this.#accept(port);
  }

  /** Where it listens. */
  get port(): number {
    return this.#listener.addr.port;
  }

  /** Cuts what is open. */
  cut(): void {
    for (const close of [...this.#open]) close();
  }

  async #accept(port: number): Promise<void> {
    for await (const near of this.#listener) {
      if (this.down) {
        near.close();
        continue;
      }
      const far = await Deno.connect({ hostname: "127.0.0.1", port });
      let left = this.life();
      const close = () => {
        this.#open.delete(close);
        for (const end of [near, far]) {
          try {
            end.close();
          } catch {
            // Closed already.
          }
        }
      };
      this.#open.add(close);
      const pump = async (from: Deno.Conn, to: Deno.Conn) => {
        const buffer = new Uint8Array(16_384);
        try {
          for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
            left -= n;
            if (left < 0) {
              this.cuts++;
              break;
            }
            for (let at = 0; at < n;) at += await to.write(buffer.subarray(at, n));
          }
        } catch {
          // Reset by either end.
        }
        close();
      };
      void pump(near, far);
      void pump(far, near);
    }
  }

  /** Cuts everything and closes the port. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.cut();
    await this.#accepting;
  }
}
