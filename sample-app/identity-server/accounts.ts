/** A user of the identity server. The claims are named as OpenID Connect Core 1.0 section 5.1 names them. */
export interface Account {
  readonly sub: string
  readonly username: string
  readonly password: string
  readonly claims: Readonly<Record<string, string | boolean | number>>
}

// DEVELOPMENT ONLY: two users with passwords that are easy to guess, in clear text.
const accounts: readonly Account[] = [
  {
    sub: '818727',
    username: 'alice',
    password: 'alice',
    claims: {
      name: 'Alice Smith',
      given_name: 'Alice',
      family_name: 'Smith',
      preferred_username: 'alice',
      website: 'https://alice.example.com',
      locale: 'en-GB',
      zoneinfo: 'Europe/London',
      email: 'alice.smith@example.com',
      email_verified: true,
    },
  },
  {
    sub: '88421113',
    username: 'bob',
    password: 'bob',
    claims: {
      name: 'Bob Müller',
      given_name: 'Bob',
      family_name: 'Müller',
      preferred_username: 'bob',
      website: 'https://bob.example.com',
      locale: 'de-DE',
      zoneinfo: 'Europe/Berlin',
      email: 'bob.mueller@example.com',
      email_verified: false,
    },
  },
]

/** The account with this name and password. */
export function checkPassword(username: unknown, password: unknown): Account | undefined {
  return accounts.find(account => account.username === username && account.password === password)
}

/** What oidc-provider wants to know about the account behind a subject. */
export function findAccount(_ctx: unknown, sub: string) {
  const account = accounts.find(candidate => candidate.sub === sub)
  return account && { accountId: sub, claims: () => ({ sub, ...account.claims }) }
}

/** The claims that a scope opens. */
export const claimsOfScopes = {
  openid: ['sub'],
  profile: ['name', 'given_name', 'family_name', 'preferred_username', 'website', 'locale', 'zoneinfo'],
  email: ['email', 'email_verified'],
}
