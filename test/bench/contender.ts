import type { RequestListener } from 'node:http'

/** What a contender is started with. */
export interface ContenderSettings {
  /** Where the contender itself is. */
  readonly baseUrl: string
  readonly issuer: string
  readonly redisUrl: string
  readonly responseType: string
  /** The `index.js` of the build to use. Left out: this one. */
  readonly build?: string
  /** What `/api` is a proxy of. Left out: there is none. */
  readonly api?: string
  /** Whether tokens are bound to a key. Left out: they are not. */
  readonly dpop?: boolean
  /** Whether the callback asks userinfo, too. */
  readonly userInfo: boolean
}

/**
 * A site that signs people in at `/login` and answers `/page` (who it is), `/cart` (the same, and what is in the session), `/fill`
 * (puts something into the session) and `/open` (public).
 */
export type CreateContender = (settings: ContenderSettings) => Promise<RequestListener> | RequestListener

export const CLIENT = { id: 'bench', secret: 'a client secret of the benchmark, 48 characters' }
export const SESSION_SECRET = 'The quick brown fox jumps over the lazy dog 0123456789'
export const SCOPE = 'openid profile email offline_access'

/** What `/page` shows, so that all contenders answer the same bytes. */
export interface Person {
  readonly sub?: unknown
  readonly name?: unknown
  readonly email?: unknown
}

export function describePerson({ sub, name, email }: Person): object {
  return { sub, name, email }
}

export const CART = { items: ['3 pens', '1 notebook', '2 folders'], note: 'as a gift, please' }
