/** The steps of a callback: their numbers as in docs/architecture.md, what holds after each, and where it is written that it has to. */
export const signInSteps = {
  parse: [
    1,
    'The response can be read, and no field occurs twice',
    'OAuth 2.0 Form Post Response Mode section 2, RFC 6749 section 3.1',
  ],
  transaction: [2, 'It belongs to an attempt of this browser', 'RFC 6749 section 10.12, RFC 9700 section 4.7'],
  binding: [
    2,
    'The attempt started with the current settings and has not expired',
    'OpenID Connect Core section 3.1.2.7, RFC 9700 section 4.4',
  ],
  response: [
    3,
    'It is not an error, comes from the provider and is complete',
    'OpenID Connect Core section 3.3.2.8, RFC 9207 section 2.4',
  ],
  consume: [4, 'It is used for the first time', 'RFC 9700 section 4.5'],
  frontIdToken: [5, 'The first ID Token is valid', 'OpenID Connect Core sections 3.1.3.7 and 3.3.2.12'],
  code: [6, 'The code was exchanged for tokens', 'OpenID Connect Core section 3.1.3, RFC 7636 section 4.5'],
  userInfo: [6, 'Userinfo was requested', 'OpenID Connect Core section 5.3'],
  idToken: [
    7,
    'The second ID Token is valid and about the same user',
    'OpenID Connect Core sections 3.1.3.7 and 3.3.3.6',
  ],
  userInfoSubject: [8, 'Userinfo is about the same user', 'OpenID Connect Core section 5.3.2'],
  claims: [9, 'The claims are merged, and the site accepts them', 'OpenID Connect Core section 5.3.2'],
  session: [10, 'A session starts under a new id, and earlier ones end', 'RFC 9700 section 4.7'],
} as const satisfies Record<string, readonly [number: number, name: string, section: string]>

export type SignInStepKey = keyof typeof signInSteps
