import assert from 'node:assert/strict'
import { send } from './http-client.js'

/** A cookie that remembers, while the provider signs out, where to go afterwards. */
export interface LogoutCookie {
  /** With the fingerprint of the site. */
  readonly name: string
  readonly value: string
  /** What has to come back with it. */
  readonly state: string
}

/** Begins a sign-out without a user, as a browser without cookies does. The provider must have an end-session endpoint. */
export async function beginLogout(siteUrl: string, returnTo = '/user'): Promise<LogoutCookie> {
  const response = await send({ url: `${siteUrl}/logout?${new URLSearchParams({ returnTo })}`, method: 'POST' })
  const { location = '' } = response.headers
  const state = URL.canParse(location) ? new URL(location).searchParams.get('state') : null
  const found = response.setCookies.map(cookie => /^((?:__Host-)?oidc\.logout\.[\w-]+)=([\w-]+);/.exec(cookie))
  const [, name, value] = found.find(match => match !== null) ?? []
  assert.ok(name && value && state, `no cookie of a sign-out: ${response.status} ${response.setCookies.join()}`)
  return { name, value, state }
}
