import { randomBytes } from 'node:crypto'

/** A new session id: 256 random bits, base64url. */
export function createSessionId(): string {
  return randomBytes(32).toString('base64url')
}
