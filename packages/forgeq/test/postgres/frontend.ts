// What a client sends to a server, message by message.

export class Frontend {
  #left: Buffer = Buffer.alloc(0)
  /** The first message says no kind. */
  #hasBegun = false

  /** The kinds of the messages that are complete now. */
  read(data: Buffer): readonly string[] {
    this.#left = Buffer.concat([this.#left, data])
    const kinds: string[] = []
    for (;;) {
      const from = this.#hasBegun ? 1 : 0
      if (this.#left.length < from + 4) return kinds
      const end = from + this.#left.readInt32BE(from)
      if (this.#left.length < end) return kinds
      if (this.#hasBegun) kinds.push(String.fromCharCode(this.#left[0]!))
      this.#hasBegun = true
      this.#left = this.#left.subarray(end)
    }
  }
}
