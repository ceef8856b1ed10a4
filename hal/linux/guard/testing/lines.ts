/** Cuts text into lines; what follows the last line feed is dropped. */
export class TextLineStream extends TransformStream<Uint8Array, string> {
  /** Decodes UTF-8. */
  constructor() {
    const decoder = new TextDecoder();
    let rest = "";
    super({
      transform(bytes, controller) {
        const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
        rest = lines.pop()!;
        for (const line of lines) controller.enqueue(line);
      },
    });
  }
}
