/** Work that is done once for all callers that ask for it at the same time. It goes on when the first caller has gone away. */
export interface SingleFlight<T> {
  run(key: string, work: () => Promise<T>): Promise<T>
  /** Resolves when everything that is under way has ended, well or badly. */
  whenIdle(): Promise<void>
}

export function createSingleFlight<T>(): SingleFlight<T> {
  const flights = new Map<string, Promise<T>>()
  return {
    run(key, work) {
      const known = flights.get(key)
      if (known !== undefined) return known
      const flight = work().finally(() => flights.delete(key))
      flights.set(key, flight)
      return flight
    },
    async whenIdle() {
      await Promise.allSettled(flights.values())
    },
  }
}
