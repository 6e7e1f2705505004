/**
 * How much a finding matters. `error`: users cannot sign in, or what is kept is not safe. `warning`: it works now, or for most users.
 * `info`: good to know. `good`: checked, and nothing to do.
 */
export type Level = 'good' | 'info' | 'warning' | 'error'

/** One thing that the doctor looked at. */
export interface Finding {
  /** A name that stays the same, for programs: `redis.eviction`. */
  readonly id: string
  readonly level: Level
  /** What was found, in one sentence. */
  readonly sentence: string
  /** What was found, or why it is so. */
  readonly cause?: string | undefined
  /** What to do about it. */
  readonly remedy?: string | undefined
  /** Which of several providers it is about. */
  readonly provider?: string | undefined
}

/** What a finding says besides its sentence. */
type Details = Pick<Finding, 'cause' | 'remedy'>

export const good = (id: string, sentence: string): Finding => ({ id, level: 'good', sentence })

export const info = (id: string, sentence: string, details: Details = {}): Finding => ({
  id,
  level: 'info',
  sentence,
  ...details,
})

export const warning = (id: string, sentence: string, details: Details = {}): Finding => ({
  id,
  level: 'warning',
  sentence,
  ...details,
})

export const failure = (id: string, sentence: string, details: Details = {}): Finding => ({
  id,
  level: 'error',
  sentence,
  ...details,
})
