import { isStringArray } from './json.js'

/** Whether a value can be a subject: 1 to 255 ASCII characters that are not all blanks. OpenID Connect Core 1.0 section 2, `sub`. */
export function isSubject(value: unknown): value is string {
  return typeof value === 'string' && /^[\x20-\x7e]{1,255}$/.test(value) && value.trim() !== ''
}

/** The audiences an `aud` claim names: one string or a list of them. Any other value counts as no audience. RFC 7519 section 4.1.3. */
export function audiencesOf(aud: unknown): readonly string[] {
  if (typeof aud === 'string') return [aud]
  return isStringArray(aud) ? aud : []
}
