import { isSubject } from './identifiers.js'
import { isRecord } from './json.js'

/** The sessions that a subject identifier names at one issuer: all of a user, or those of one session at the provider. */
export interface NamedSessions {
  readonly subject?: string
  readonly sid?: string
}

/** Deeper nesting than any specified subject has: a list of aliases inside of a complex subject. */
const DEEPEST = 3

/** The parts of a complex subject that can name a user or a session. Others, such as `tenant` and `device`, only narrow it down. */
const USER_PARTS = ['user', 'session'] as const

/**
 * Which sessions a subject identifier means. RFC 9493 section 3, OpenID Shared Signals Framework 1.0 section 3.
 *
 * Only `iss_sub` names a user: e-mail addresses and telephone numbers change hands, and what an `opaque` identifier of a user means is known to
 * the two parties alone. The session of a complex subject is `opaque`, and is the `sid` of ID Tokens.
 *
 * @param issuer - whose users have sessions here
 * @returns `undefined` where the subject names none of them
 */
export function sessionsNamedBy(subject: unknown, issuer: string, depth = DEEPEST): NamedSessions | undefined {
  if (!isRecord(subject) || depth === 0) return undefined
  switch (formatOf(subject)) {
    case 'iss_sub':
      return isSameIssuer(subject.iss, issuer) && isSubject(subject.sub) ? { subject: subject.sub } : undefined
    case 'aliases':
      return firstOf(subject.identifiers, alias => sessionsNamedBy(alias, issuer, depth - 1))
    case 'complex':
      return ofParts(subject, issuer, depth)
    default:
      return undefined
  }
}

/** Before RFC 9493 the member was `subject_type`, with hyphens; Google still sends that. A complex subject had no format at first. */
function formatOf({ format, subject_type: type, user, session }: Readonly<Record<string, unknown>>): unknown {
  if (typeof format === 'string') return format
  if (typeof type === 'string') return type.replaceAll('-', '_')
  return user !== undefined || session !== undefined ? 'complex' : undefined
}

/** Google writes its issuer with a slash at the end in events, and without one in ID Tokens. */
function isSameIssuer(given: unknown, issuer: string): boolean {
  return typeof given === 'string' && withoutSlash(given) === withoutSlash(issuer)
}

function withoutSlash(issuer: string): string {
  return issuer.endsWith('/') ? issuer.slice(0, -1) : issuer
}

/** All parts hold at once: a session of that user. A user that is not of this issuer is not here. */
function ofParts(subject: Readonly<Record<string, unknown>>, issuer: string, depth: number): NamedSessions | undefined {
  const [user, session] = USER_PARTS.map(name => subject[name])
  const named = user === undefined ? {} : sessionsNamedBy(user, issuer, depth - 1)
  if (named === undefined) return undefined
  const sid = isRecord(session) && formatOf(session) === 'opaque' ? session.id : undefined
  if (typeof sid === 'string' && sid !== '') return { ...named, sid }
  // A session that cannot be told from the others of the user: all of them are meant, rather than none.
  return named.subject === undefined ? undefined : named
}

function firstOf<T>(list: unknown, find: (item: unknown) => T | undefined): T | undefined {
  for (const item of Array.isArray(list) ? list : []) {
    const found = find(item)
    if (found !== undefined) return found
  }
  return undefined
}
