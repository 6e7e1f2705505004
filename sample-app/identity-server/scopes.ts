/** What the consent page says about a scope. */
export interface ScopeDescription {
  readonly scope: string
  readonly title: string
  readonly text: string
}

const descriptions: readonly ScopeDescription[] = [
  { scope: 'openid', title: 'Who you are', text: 'a number that stands for your account' },
  { scope: 'profile', title: 'Your profile', text: 'name, website, language and time zone' },
  { scope: 'email', title: 'Your e-mail address', text: 'and whether it has been verified' },
  { scope: 'read', title: 'Read your data', text: 'at the sample API' },
  { scope: 'write', title: 'Change your data', text: 'at the sample API' },
]

/** The scopes that are not plain OpenID Connect: they open the API. */
export const apiScopes = ['read', 'write']

export function describeScopes(scope: string): ScopeDescription[] {
  const asked = scope.split(' ')
  return descriptions.filter(description => asked.includes(description.scope))
}
