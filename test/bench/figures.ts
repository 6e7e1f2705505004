/** One figure of the plan: a ratio, mostly, measured side by side. */
export interface Figure {
  readonly what: string
  readonly against: string
  readonly goal: number
  /** Otherwise at most. */
  readonly atLeast?: boolean
  readonly value: number
}

export function isReached({ goal, atLeast = false, value }: Figure): boolean {
  return atLeast ? value >= goal : value <= goal
}
