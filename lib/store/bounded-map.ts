/** What was worked out recently, so that it need not be again. The oldest makes room for the newest. */
export class Recent<V> {
  readonly #limit: number
  readonly #values = new Map<string, V>()

  constructor(limit: number) {
    this.#limit = limit
  }

  get(key: string): V | undefined {
    return this.#values.get(key)
  }

  forget(key: string): void {
    this.#values.delete(key)
  }

  /** @returns the value */
  keep(key: string, value: V): V {
    // Anew, it is the newest.
    this.#values.delete(key)
    if (this.#values.size >= this.#limit) {
      const { value: oldest } = this.#values.keys().next()
      if (oldest !== undefined) this.#values.delete(oldest)
    }
    this.#values.set(key, value)
    return value
  }
}
