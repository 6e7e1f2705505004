/** A user of the identity server. The claims are named as OpenID Connect Core 1.0 section 5.1 names them. */
export interface Account {
  readonly sub: string
  readonly username: string
  readonly password: string
  readonly claims: Readonly<Record<string, string | boolean | number>>
}

// DEVELOPMENT ONLY: users with passwords that are easy to guess, in clear text.
const usersOfOneServer: readonly Account[] = [
  createAccount('818727', 'Alice', 'Smith', {
    website: 'https://alice.example.com',
    locale: 'en-GB',
    zoneinfo: 'Europe/London',
    email: 'alice.smith@example.com',
    email_verified: true,
  }),
  createAccount('88421113', 'Bob', 'Müller', {
    website: 'https://bob.example.com',
    locale: 'de-DE',
    zoneinfo: 'Europe/Berlin',
    email: 'bob.mueller@example.com',
    email_verified: false,
  }),
]

// With the subjects of Alice and Bob on purpose: a subject means one user at one provider only.
const usersOfServers: Readonly<Record<string, readonly Account[]>> = {
  globex: [
    createAccount('818727', 'Carol', 'Jones', { email: 'carol@globex.example', email_verified: true }),
    createAccount('88421113', 'Dave', 'Rossi', { email: 'dave@globex.example', email_verified: true }),
  ],
  initech: [
    createAccount('818727', 'Erin', 'Novak', { email: 'erin@initech.example', email_verified: true }),
    createAccount('88421113', 'Frank', 'Dubois', { email: 'frank@initech.example', email_verified: true }),
  ],
}

function createAccount(sub: string, given: string, family: string, claims: Account['claims']): Account {
  const username = given.toLowerCase()
  const names = { name: `${given} ${family}`, given_name: given, family_name: family, preferred_username: username }
  return { sub, username, password: username, claims: { ...names, ...claims } }
}

/** The users of one identity server. */
export interface Accounts {
  readonly list: readonly Account[]
  /** The account with this name and password. */
  readonly checkPassword: (username: unknown, password: unknown) => Account | undefined
  /** What oidc-provider wants to know about the account behind a subject. */
  readonly find: (ctx: unknown, sub: string) => { accountId: string; claims: () => Record<string, unknown> } | undefined
}

/** @param name Of the identity server, where there are several. */
export function createAccounts(name?: string): Accounts {
  const list = usersOfServers[name ?? ''] ?? usersOfOneServer
  return {
    list,
    checkPassword: (username, password) =>
      list.find(account => account.username === username && account.password === password),
    find(_ctx, sub) {
      const account = list.find(candidate => candidate.sub === sub)
      return account && { accountId: sub, claims: () => ({ sub, ...account.claims }) }
    },
  }
}

/** The claims that a scope opens. */
export const claimsOfScopes = {
  openid: ['sub'],
  profile: ['name', 'given_name', 'family_name', 'preferred_username', 'website', 'locale', 'zoneinfo'],
  email: ['email', 'email_verified'],
}
