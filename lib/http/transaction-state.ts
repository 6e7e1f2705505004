import { randomBytes } from 'node:crypto'
import { OidcError } from '../errors.js'
import { type Config, publicPath, redirectUri, type Services } from '../options/config.js'
import type { ProofKey } from '../protocol/dpop.js'
import { scopeWords } from '../protocol/granted-scope.js'
import {
  deriveProofSecret,
  deriveSecrets,
  fingerprint,
  joinTransaction,
  splitTransaction,
  type Transaction,
} from '../protocol/transaction.js'
import type { BrowserBinding } from './transaction-cookie.js'

/** Characters of the longest `state`: two of them and everything else fit into the head of a response that nginx accepts by default. */
const LONGEST_STATE = 1000

const ID_BYTES = 9
const ID_LENGTH = 12
const SEED_BYTES = 16

/** A transaction that this browser can finish, with everything a response must match. */
export interface ActiveTransaction extends Transaction {
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
  readonly redirectUri: string
  readonly pkce: boolean
  /** Of the key that the tokens are bound to; see {@link proofKeyOf}. */
  readonly proofSecret?: string
  /** The whole scope that was asked for. */
  readonly scope: string
}

/** What a new transaction is about; its secrets and its binding are made here. */
export type TransactionInput = Omit<
  Transaction,
  'id' | 'seed' | 'binding' | 'settings' | 'createdAt' | 'startedAt' | 'pkce' | 'proofAlgorithm' | 'provider'
>

/** The attempts to sign in, which travel in `state`, sealed. */
export interface Transactions {
  /** Begins one. Costs no Redis command, unless the address of the page is longer than `state` has room for. */
  begin(input: TransactionInput, binding: BrowserBinding): Promise<ActiveTransaction>
  /** What a `state` holds. `undefined`: none of our secrets opens it. */
  open(state: string): Promise<Transaction | undefined>
  /** The secrets of a transaction, which only the browser that began it has a part in. */
  activate(transaction: Transaction, state: string, binding: BrowserBinding): ActiveTransaction
  /** {@link Transaction.settings} of today. */
  readonly settings: string
}

/** Of one host. */
interface TransactionServices extends Pick<Services, 'store'> {
  readonly config: Config
}

export function createTransactions({ config, store }: TransactionServices): Transactions {
  const { sealer, transactionOverflow } = store
  const settings = settingsOf(config)
  const ownScope = joinScopes(config.scope)

  const seal = (id: string, content: object) =>
    id + sealer.seal('transaction', id, JSON.stringify(content)).toString('base64url')

  /** All of it where that fits. Otherwise the long part goes to Redis, and `state` has as much of it as there is room for. */
  async function format(transaction: Transaction): Promise<string> {
    const { core, rest } = splitTransaction(transaction)
    const whole = seal(transaction.id, { ...core, z: rest })
    if (whole.length <= LONGEST_STATE) return whole
    const isParked = await transactionOverflow.keep(transaction.id, JSON.stringify(rest))
    if (transaction.hasData && !isParked) throw lostData()
    for (const candidate of shortened(config, transaction)) {
      const part = { ...core, ...(isParked && { y: 1 }), z: splitTransaction(candidate).rest }
      const state = seal(transaction.id, part)
      if (state.length <= LONGEST_STATE) return state
    }
    throw new OidcError('ERR_OIDC_OPTIONS', 'this sign-in requires more acr values than fit into "state"')
  }

  function activate(transaction: Transaction, state: string, binding: BrowserBinding): ActiveTransaction {
    return {
      ...transaction,
      ...deriveSecrets(transaction, binding.id),
      ...(transaction.proofAlgorithm && { proofSecret: deriveProofSecret(transaction, binding.id) }),
      state,
      redirectUri: redirectUri(config),
      pkce: transaction.pkce !== false,
      scope: transaction.extraScope === undefined ? ownScope : joinScopes(config.scope, transaction.extraScope),
    }
  }

  return {
    settings,
    activate,
    async begin(input, binding) {
      const transaction: Transaction = {
        ...input,
        ...(!config.pkce && { pkce: false }),
        ...(config.proofAlgorithm && { proofAlgorithm: config.proofAlgorithm }),
        ...(config.providerName !== undefined && { provider: config.providerName }),
        ...newNames(),
        binding: fingerprint(binding.id),
        settings,
        createdAt: config.now().getTime() / 1000,
        startedAt: store.startTime(),
      }
      return activate(transaction, await format(transaction), binding)
    },
    async open(state) {
      const id = state.slice(0, ID_LENGTH)
      const sealed = Buffer.from(state.slice(ID_LENGTH), 'base64url')
      // Only one spelling of it is ours.
      if (id + sealed.toString('base64url') !== state) return undefined
      const opened = sealer.open('transaction', id, sealed)
      if (opened === undefined) return undefined
      const { y: isParked, z, ...core } = JSON.parse(opened.toString()) as Record<string, unknown>
      const parked = isParked === 1 ? await transactionOverflow.find(id).catch(() => undefined) : undefined
      return joinTransaction(id, core, parked === undefined ? z : JSON.parse(parked))
    },
  }
}

/**
 * The key that the tokens of this sign-in are bound to: the same one at its start and at its end, in whichever process. `undefined`: they are
 * bearer tokens. It is the transaction that counts, so that a sign-in ends as it began.
 */
export async function proofKeyOf({
  proofAlgorithm,
  proofSecret,
}: Pick<ActiveTransaction, 'proofAlgorithm' | 'proofSecret'>): Promise<ProofKey | undefined> {
  if (proofAlgorithm === undefined || proofSecret === undefined) return undefined
  const { deriveProofKey } = await import('../protocol/dpop.js')
  return deriveProofKey(proofAlgorithm, Buffer.from(proofSecret, 'base64url'))
}

/** The `signIn` hook must not take "no data" for what the site meant. */
export function lostData(): OidcError {
  return new OidcError('ERR_OIDC_STORE_UNAVAILABLE', 'the data of this sign-in could not be kept, or was lost')
}

/** What remains where there is no room, the least important first: the query of the page, what a restart would ask for, the page. */
function shortened(config: Config, transaction: Transaction): readonly Transaction[] {
  const { data: _data, ...whole } = transaction
  const { params: _, ...withoutParams } = whole
  const { extraScope: __, ...withoutScope } = withoutParams
  const path = new URL(transaction.returnTo, config.baseUrl).pathname
  const home = publicPath(config, '/')
  return [
    { ...whole, returnTo: path },
    { ...withoutParams, returnTo: path },
    { ...withoutParams, returnTo: home },
    { ...withoutScope, returnTo: home },
  ]
}

/** The scope as it is asked for: words apart by blanks, each once. */
export function joinScopes(...scopes: readonly (string | undefined)[]): string {
  return scopeWords(scopes.join(' ')).join(' ')
}

/** How nonce and verifier are derived. A sign-in that another version of this package began begins anew. */
const DERIVATION = 2

function settingsOf(config: Config): string {
  const { issuer, clientId, responseType, responseMode, scope, providerName } = config
  // Another issuer under the same name is another provider.
  const provider = providerName === undefined ? [] : [providerName, issuer, clientId]
  return fingerprint(
    JSON.stringify([DERIVATION, redirectUri(config), responseType, responseMode, scope, ...provider]),
    8,
  )
}

/** 72 and 128 random bits. */
function newNames(): Pick<Transaction, 'id' | 'seed'> {
  const random = randomBytes(ID_BYTES + SEED_BYTES)
  return { id: random.toString('base64url', 0, ID_BYTES), seed: random.toString('base64url', ID_BYTES) }
}
