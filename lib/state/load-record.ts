import type { Backend } from './backend.js'
import { isExtensionDue, parseLife } from './life.js'
import type { Names } from './names.js'
import { FIELD } from './record-fields.js'
import type { Sealer } from './seal.js'
import { createSessionRecord, type SessionRecord } from './session-record.js'
import { parseTokens, type Tokens } from './ticket.js'

/** Reads what belongs to a session id. */
export interface Loader {
  /** `undefined`: nothing there. `extend` (default true) prolongs the life in the background, now and then. */
  load(id: string, options?: { readonly extend?: boolean }): Promise<SessionRecord | undefined>
  /** The tokens, which {@link load} leaves where they are. `undefined`: nothing there. */
  readTokens(id: string): Promise<Tokens | undefined>
}

interface LoaderSettings {
  readonly backend: Backend
  readonly names: Names
  readonly sealer: Sealer
  /** Seconds. */
  readonly idle: number
  /** Epoch s. */
  readonly now: () => number
}

const LOAD_FIELDS = [FIELD.ticket, FIELD.session, FIELD.version, FIELD.life] as const

export function createLoader({ backend, names, sealer, idle, now }: LoaderSettings): Loader {
  const extending = new Set<string>()

  async function extend(key: string): Promise<void> {
    if (extending.has(key)) return
    extending.add(key)
    // A failure shows at the next command that somebody waits for.
    await backend.extend(key, now(), idle).catch(() => {})
    extending.delete(key)
  }

  return {
    async load(id, options) {
      const key = names.record(id)
      const [ticket = null, session = null, version, lifeText] = await backend.read(key, LOAD_FIELDS)
      const life = lifeText ? parseLife(lifeText.toString()) : undefined
      const time = now()
      if (life === undefined || life.endsAt <= time) return undefined
      if (options?.extend !== false && isExtensionDue(life, time, idle)) void extend(key)
      return createSessionRecord({ id, ticket, session, version: Number(version ?? 0) }, sealer, now)
    },
    async readTokens(id) {
      const [tokens, life] = await backend.read(names.record(id), [FIELD.tokens, FIELD.life])
      const endsAt = life ? parseLife(life.toString())?.endsAt : undefined
      if (!tokens || endsAt === undefined || endsAt <= now()) return undefined
      return parseTokens(sealer.open('tokens', id, tokens))
    },
  }
}
