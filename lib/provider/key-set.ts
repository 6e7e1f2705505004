import type { CryptoKey, JWK } from 'jose'
import { OidcError } from '../errors.js'
import { isJsonObject, isRecord, withoutNulls } from '../protocol/json.js'
import { type KeyHint, selectKeys } from '../protocol/key-selection.js'
import { type Budget, createBudget } from './budget.js'
import { type CachedStatus, createCached } from './cached.js'
import type { Http } from './http.js'
import { createKeyImports } from './key-imports.js'
import { checkStatus } from './response.js'

export interface KeySetSettings {
  /** Asked before every load, because the provider may move its keys. */
  readonly jwksUri: () => Promise<string>
  readonly http: Http
  readonly now: () => Date
}

/** The public keys of the provider. */
export interface KeySet {
  /**
   * The keys a signature with this header may be made with; none where the provider has none.
   *
   * @param budget - what pays for fetching the keys once more. Default: that of ID Tokens
   * @throws {OidcError} where the keys are not known and cannot be fetched; ERR_OIDC_PROVIDER_UNAVAILABLE where `budget` is given and spent
   */
  keysFor(header: KeyHint, budget?: () => Promise<Budget>): Promise<readonly CryptoKey[]>
  /** What `select` finds among the published keys. Where it finds nothing, they are fetched once more. */
  find<T>(select: (keys: readonly JWK[]) => T | undefined): Promise<T | undefined>
  /**
   * For a signature that fits no key it should fit: fetches once more, and says whether the keys are others now.
   *
   * @throws {OidcError} ERR_OIDC_PROVIDER_UNAVAILABLE where `budget` is given and spent
   */
  reload(budget?: () => Promise<Budget>): Promise<boolean>
  /** Fetches the keys if they are not known, and fetches old ones again in the background. */
  warm(): Promise<void>
  status(): CachedStatus
}

const MINUTE = 60
const CACHE_TIMES = {
  refreshAfter: 10 * MINUTE,
  // Bounds how long a key that the provider took back is believed by a process that was idle.
  maxAge: 60 * MINUTE,
  // Longer than an outage over a long weekend, shorter than for ever.
  staleLimit: 7 * 24 * 60 * MINUTE,
}
/** Enough for two rotations within each of two sign-ins in a row; then at a rate that does not burden the provider. */
const EXTRA_FETCHES = { burst: 5, interval: 10 }
const MAX_KEYS = 1000
const MAX_CANDIDATES = 100

export function createKeySet({ jwksUri, http, now }: KeySetSettings): KeySet {
  const forIdTokens = createBudget({ ...EXTRA_FETCHES, now })
  const imports = createKeyImports()
  const cached = createCached({ ...CACHE_TIMES, now, load })

  async function load(): Promise<readonly JWK[]> {
    return imports.keepKnown(await fetchKeys(http, await jwksUri()))
  }

  /** A load that is under way costs nothing more, and one that brought what was wanted costs nothing. Whether there was a load. */
  async function reloadWithinBudget(
    budgetOf: (() => Promise<Budget>) | undefined,
    isGood: (keys: readonly JWK[]) => boolean,
  ): Promise<boolean> {
    const budget = await (budgetOf?.() ?? forIdTokens)
    const isPaid = !cached.isLoading()
    if (isPaid && !budget.take()) {
      if (budgetOf === undefined) return false
      throw new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'the keys of the provider were fetched too often just now')
    }
    const keys = await cached.reload()
    if (isPaid && isGood(keys)) budget.refund()
    return true
  }

  async function find<T>(
    select: (keys: readonly JWK[]) => T | undefined,
    budget?: () => Promise<Budget>,
  ): Promise<T | undefined> {
    const { started } = cached.generation()
    let found = select(await cached.get())
    // The load that was joined may have begun before the key was published: only one begun after the call decides.
    while (found === undefined && cached.generation().held <= started) {
      if (!(await reloadWithinBudget(budget, keys => select(keys) !== undefined))) break
      found = select(await cached.get())
    }
    return found
  }

  async function keysFor(header: KeyHint, budget?: () => Promise<Budget>): Promise<readonly CryptoKey[]> {
    const candidates = await find(keys => {
      const fitting = selectKeys(keys, header)
      return fitting.length === 0 ? undefined : fitting
    }, budget)
    return imports.importAll(candidates?.slice(0, MAX_CANDIDATES) ?? [], header.alg)
  }

  async function reload(budget?: () => Promise<Budget>): Promise<boolean> {
    const before = cached.peek() ?? []
    const isChanged = (keys: readonly JWK[]) => keys.length !== before.length || keys.some(key => !before.includes(key))
    try {
      await reloadWithinBudget(budget, isChanged)
    } catch (error) {
      // Whether the signature is good cannot be known now.
      if (budget !== undefined) throw error
    }
    return isChanged(cached.peek() ?? [])
  }

  return {
    keysFor,
    find: select => find(select),
    reload,
    async warm() {
      await cached.get()
    },
    status: cached.status,
  }
}

/** A response without a key is treated as a failure and not as a provider that has stopped signing. */
async function fetchKeys(http: Http, url: string): Promise<readonly JWK[]> {
  const response = await http.getJson(url, { accept: 'application/json, application/jwk-set+json' })
  checkStatus(response, 'its keys')
  const json = response.json()
  const entries = isRecord(json) ? json.keys : undefined
  const keys = Array.isArray(entries) ? entries.slice(0, MAX_KEYS).filter(isJwk).map(withoutEmpty) : []
  if (keys.length > 0) return keys
  throw new OidcError('ERR_OIDC_PROVIDER_RESPONSE', 'the provider published a key set without keys')
}

/** A member without a value says nothing about the key. */
function withoutEmpty(key: JWK): JWK {
  const isEmpty = (value: unknown) => value === '' || (Array.isArray(value) && value.length === 0)
  return Object.fromEntries(Object.entries(withoutNulls(key)).filter(([, value]) => !isEmpty(value))) as unknown as JWK
}

function isJwk(entry: unknown): entry is JWK {
  return isJsonObject(entry) && typeof entry.kty === 'string'
}
