import { hash, randomBytes } from 'node:crypto'
import type { KeptField } from '../protocol/multipart.js'
import type { Backend } from './backend/backend.js'
import type { RedisKeys } from './keys.js'
import type { Sealer } from './seal.js'
import type { AtProvider } from './session-index.js'

/** Seconds a form is kept, at most. */
const LIFETIME = 15 * 60

/** Forms of one user. */
const MOST_OF_USER = 8

/** Forms that one process keeps within {@link LIFETIME}. */
const MOST_OF_PROCESS = 1000

/** A form that is to be sent after a sign-in. */
export interface KeptForm {
  /** Path and query that it was sent to. */
  readonly address: string
  readonly encoding: string
  readonly fields: readonly KeptField[]
  /** The page that it was on. */
  readonly page: string
}

/** Whose a form is, and in which browser: with any other it is not found, and could not be opened. */
export interface FormOwner extends AtProvider {
  readonly subject: string
  /** The id of the binding of the browser. */
  readonly bindingId: string
}

/** What is sealed so that neither Redis nor the secret of the site opens it: the handle is with the browser alone. */
export interface KeptForms {
  /**
   * @returns the handle, which only the browser gets; `undefined` where this process has kept too many
   * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE
   */
  keep(owner: FormOwner, form: KeptForm): Promise<string | undefined>
  /** @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE */
  find(owner: FormOwner, handle: string): Promise<KeptForm | undefined>
  /** Whether it was there: true once, in whichever process that is. @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE */
  remove(owner: FormOwner, handle: string): Promise<boolean>
}

export interface KeptFormsSettings {
  readonly backend: Backend
  readonly redisKeys: Pick<RedisKeys, 'forms'>
  readonly sealer: Sealer
  /** Epoch s. */
  readonly now: () => number
}

/** The second it expires in, and 128 random bits. */
const HANDLE = /^(\d{10})\.[\w-]{22}$/

export function createKeptForms({ backend, redisKeys, sealer, now }: KeptFormsSettings): KeptForms {
  /** When each of them is gone, oldest first. */
  const kept: number[] = []
  const keysOf = ({ issuer, provider, subject }: FormOwner) => redisKeys.forms(issuer, provider, subject)

  /** The first key under which there is something. */
  async function first<T>(owner: FormOwner, look: (key: string) => Promise<T | undefined>): Promise<T | undefined> {
    for (const key of keysOf(owner)) {
      const found = await look(key)
      if (found !== undefined) return found
    }
    return undefined
  }

  return {
    async keep(owner, form) {
      const time = now()
      while (kept[0] !== undefined && kept[0] <= time) kept.shift()
      if (kept.length >= MOST_OF_PROCESS) return undefined
      const endsAt = time + LIFETIME
      kept.push(endsAt)
      const handle = `${String(endsAt).padStart(10, '0')}.${randomBytes(16).toString('base64url')}`
      const sealed = sealer.seal('form', contextOf(owner, handle), JSON.stringify(form))
      const [key = ''] = keysOf(owner)
      await backend.addEntry(key, nameOf(handle), sealed, { most: MOST_OF_USER, ttl: LIFETIME, now: time })
      return handle
    },
    async find(owner, handle) {
      const endsAt = Number(HANDLE.exec(handle)?.[1] ?? 0)
      if (endsAt <= now()) return undefined
      return first(owner, async key => {
        const sealed = await backend.readEntry(key, nameOf(handle))
        const opened = sealed && sealer.open('form', contextOf(owner, handle), sealed)
        return opened && (JSON.parse(opened.toString()) as KeptForm)
      })
    },
    async remove(owner, handle) {
      const removed = await first(owner, async key => (await backend.removeEntry(key, nameOf(handle))) || undefined)
      return removed ?? false
    },
  }
}

function nameOf(handle: string): string {
  return handle.slice(0, 11) + hash('sha256', handle, 'base64url')
}

function contextOf({ issuer, provider = '', subject, bindingId }: FormOwner, handle: string): string {
  return JSON.stringify([handle, bindingId, provider, issuer, subject])
}
