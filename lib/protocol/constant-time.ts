import { timingSafeEqual } from 'node:crypto'

/** Compares two secrets in a time that tells nothing about where they differ. Their lengths are no secret. */
export function isSameSecret(first: string, second: string): boolean {
  const a = Buffer.from(first)
  const b = Buffer.from(second)
  return a.length === b.length && timingSafeEqual(a, b)
}
