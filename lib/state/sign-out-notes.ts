import type { Backend } from './backend.js'
import type { Names } from './names.js'
import type { Sealer } from './seal.js'
import { ifThereIsRoom } from './unavailable.js'

/** What a sign-out asks of the provider. A repeat of the request asks for the same. */
export interface SignOutNote {
  /** The ID Token as the provider sent it. */
  readonly idTokenHint?: string
  readonly state: string
}

/** The sign-outs of the last minute, for a browser that sends the same request again: a double click. */
export interface SignOutNotes {
  /**
   * Keeps a note under every one of these names, which only that browser knows. Of two requests at once, the note of the first counts for
   * both. Without room in the store nothing is kept.
   * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE
   */
  keep(names: readonly string[], note: SignOutNote): Promise<SignOutNote>
  /** @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE */
  find(names: readonly string[]): Promise<SignOutNote | undefined>
}

/** Seconds. */
const LIFETIME = 60

export function createSignOutNotes(backend: Backend, names: Names, sealer: Sealer): SignOutNotes {
  const keyOf = (name: string) => names.once('sign-out', name)

  async function read(name: string): Promise<SignOutNote | undefined> {
    const mark = await backend.readMark(keyOf(name))
    const opened = mark === undefined ? undefined : sealer.open('logout', name, Buffer.from(mark, 'base64url'))
    return opened === undefined ? undefined : (JSON.parse(opened.toString()) as SignOutNote)
  }

  const seal = (name: string, note: SignOutNote) =>
    sealer.seal('logout', name, JSON.stringify(note)).toString('base64url')

  return {
    async keep([first, ...others], note) {
      let kept = note
      await ifThereIsRoom(async () => {
        if (first === undefined) return
        const isFirst = await backend.once(keyOf(first), LIFETIME, seal(first, note))
        if (!isFirst) kept = (await read(first)) ?? note
        await Promise.all(others.map(name => backend.writeMark(keyOf(name), seal(name, kept), LIFETIME)))
      })
      return kept
    },
    async find(known) {
      const found = await Promise.all(known.map(read))
      return found.find(note => note !== undefined)
    },
  }
}
