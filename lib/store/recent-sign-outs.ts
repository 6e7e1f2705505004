import type { Backend } from './backend/backend.js'
import { ifThereIsRoom } from './backend/unavailable.js'
import type { RedisKeys } from './keys.js'
import type { Sealer } from './seal.js'

/** What a sign-out asks of the provider. A repeat of the request asks for the same. */
export interface RecentSignOut {
  /** The ID Token as the provider sent it. */
  readonly idTokenHint?: string
  readonly state: string
  /** The name of the provider that is asked, where the site has several. */
  readonly provider?: string | undefined
}

/** The sign-outs of the last minute, for a browser that sends the same request again: a double click. */
export interface RecentSignOuts {
  /**
   * Keeps a sign-out under every one of these names, which only that browser knows. Of two requests at once, the first counts for
   * both. Without room in the store nothing is kept.
   * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE
   */
  keep(names: readonly string[], signOut: RecentSignOut): Promise<RecentSignOut>
  /** @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE */
  find(names: readonly string[]): Promise<RecentSignOut | undefined>
}

/** Seconds. */
const LIFETIME = 60

export function createRecentSignOuts(backend: Backend, redisKeys: RedisKeys, sealer: Sealer): RecentSignOuts {
  const keyOf = (name: string) => redisKeys.consumed('sign-out', name)

  async function read(name: string): Promise<RecentSignOut | undefined> {
    const mark = await backend.readMark(keyOf(name))
    const opened = mark === undefined ? undefined : sealer.open('logout', name, Buffer.from(mark, 'base64url'))
    return opened === undefined ? undefined : (JSON.parse(opened.toString()) as RecentSignOut)
  }

  const seal = (name: string, signOut: RecentSignOut) =>
    sealer.seal('logout', name, JSON.stringify(signOut)).toString('base64url')

  return {
    async keep([first, ...others], signOut) {
      let kept = signOut
      await ifThereIsRoom(async () => {
        if (first === undefined) return
        const isFirst = await backend.consume(keyOf(first), LIFETIME, seal(first, signOut))
        if (!isFirst) kept = (await read(first)) ?? signOut
        await Promise.all(others.map(name => backend.writeMark(keyOf(name), seal(name, kept), LIFETIME)))
      })
      return kept
    },
    async find(known) {
      const found = await Promise.all(known.map(read))
      return found.find(signOut => signOut !== undefined)
    },
  }
}
