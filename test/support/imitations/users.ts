import type { Claims } from '../hostile-faults.js'

export type ImitatedUser = 'alice' | 'bob'

const users: Readonly<Record<ImitatedUser, Claims>> = {
  alice: { name: 'Alice Adams', given_name: 'Alice', role: ['editor', 'admin'], email: 'alice@idsrv.example' },
  bob: { name: 'Bob Brown', given_name: 'Bob', role: 'reader', email: 'bob@idsrv.example' },
}

/** The subject of a user, which is not the name to sign in with. */
export const subjectOf = (user: ImitatedUser): string => `818727-${user}`

export function isUser(name: string | null): name is ImitatedUser {
  return name !== null && Object.hasOwn(users, name)
}

/** Claims of `profile` and `email`, for an ID Token or for userinfo. */
export function claimsOf(user: ImitatedUser, scope: readonly string[]): Claims {
  const { email, ...profile } = users[user]
  return { ...(scope.includes('profile') && profile), ...(scope.includes('email') && { email, email_verified: true }) }
}
