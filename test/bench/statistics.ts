export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}

/** In random order, so that no contender always comes first, or after the same one. */
export function shuffle<T>(items: readonly T[]): T[] {
  return items
    .map(item => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}

/** Measurements of several contenders, round by round. */
export class Rounds {
  readonly #rounds: Map<string, number>[] = []

  begin(): void {
    this.#rounds.push(new Map())
  }

  record(name: string, value: number): void {
    this.#rounds.at(-1)?.set(name, value)
  }

  /** Median over the rounds. */
  median(name: string): number {
    return median(this.#rounds.map(round => round.get(name) ?? Number.NaN).filter(Number.isFinite))
  }

  /** Median over the rounds of what a formula makes of one round. */
  compare(formula: (value: (name: string) => number) => number): number {
    return median(this.#rounds.map(round => formula(name => round.get(name) ?? Number.NaN)).filter(Number.isFinite))
  }
}
