import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { OidcError } from '../errors.js'
import { printable } from '../protocol/printable.js'
import {
  deleteClient,
  type RegisteredClient,
  registerClient,
  type SiteOptions,
  updateClient,
} from '../registration/index.js'
import { describeCause } from './check-provider.js'
import { UsageError } from './usage.js'

/** What the command line says. */
export interface RegisterCommand {
  readonly provider?: string | undefined
  /** A file with further members of the client metadata. */
  readonly metadata?: string | undefined
  /** The file that the client is kept in. */
  readonly save?: string | undefined
  /** A file with a client whose registration is changed. */
  readonly update?: string | undefined
  /** A file with a client that is deleted. */
  readonly delete?: string | undefined
  readonly json: boolean
  readonly printSecrets: boolean
}

/** What is printed, and the exit status. */
export interface Outcome {
  readonly text: string
  readonly status: number
}

/** Characters of a value that are printed. */
const LONGEST = 300

/**
 * `express-hybrid-oidc register`.
 *
 * @param environment - has the initial access token and the software statement: a command line can be read by other users of the machine
 * @throws {UsageError}
 */
export async function runRegister(
  command: RegisterCommand,
  options: SiteOptions,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Outcome> {
  check(command)
  const { provider } = command
  try {
    if (command.delete !== undefined) {
      await deleteClient(options, readJson(command.delete), { provider })
      return { text: `The client in ${command.delete} is deleted at the provider.\n`, status: 0 }
    }
    return describe(command, await send(command, options, environment))
  } catch (error) {
    if (!(error instanceof OidcError)) throw error
    const cause = describeCause(error)
    return { text: `✗ ${error.message}. [${error.code}]\n${cause === undefined ? '' : `    ${cause}\n`}`, status: 1 }
  }
}

/** Looked at before anything is sent: the secret of a client that cannot be kept is lost. */
function check({ save, update, delete: deleted, printSecrets }: RegisterCommand): void {
  if (deleted !== undefined) {
    if (update !== undefined || save !== undefined)
      throw new UsageError('--delete goes with neither --update nor --save.')
    return
  }
  if (update !== undefined && save !== undefined)
    throw new UsageError('--update writes the file that it reads: leave --save out.')
  if (update === undefined && save === undefined && !printSecrets)
    throw new UsageError('Where is the client kept? Give --save <file>, or --print-secrets.')
  if (save !== undefined && existsSync(save)) throw new UsageError(`The file ${save} is there already.`)
}

function send(
  { provider, metadata, save, update }: RegisterCommand,
  options: SiteOptions,
  {
    OIDC_INITIAL_ACCESS_TOKEN: initialAccessToken,
    OIDC_SOFTWARE_STATEMENT: softwareStatement,
  }: Readonly<Record<string, string | undefined>>,
): Promise<RegisteredClient> {
  const more = metadata === undefined ? undefined : (readJson(metadata) as Readonly<Record<string, unknown>>)
  const file = update ?? save
  const given = {
    provider,
    metadata: more,
    softwareStatement,
    ...(file !== undefined && { save: (client: RegisteredClient) => write(file, client) }),
  }
  if (update !== undefined) return updateClient(options, readJson(update), given)
  return registerClient(options, { ...given, initialAccessToken })
}

/** A file of its own first, so that the one before is whole until the new one is. */
function write(file: string, client: RegisteredClient): void {
  const draft = `${file}.new`
  writeFileSync(draft, `${JSON.stringify(client, null, 2)}\n`, { mode: 0o600 })
  renameSync(draft, file)
}

function readJson(file: string): object {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as object
  } catch {
    throw new UsageError(`The file ${file} cannot be read as JSON.`)
  }
}

function describe({ json, printSecrets, save, update }: RegisterCommand, client: RegisteredClient): Outcome {
  const status = client.changes.some(({ breaksSignIn }) => breaksSignIn) ? 1 : 0
  const { clientSecret: _, ...credentials } = client.credentials
  const { registrationAccessToken: _token, ...others } = client
  const printed = printSecrets ? client : { ...others, credentials }
  if (json) return { text: `${JSON.stringify(printed, null, 2)}\n`, status }
  const lines = [
    `✓ The provider ${client.issuer} knows this site as the client ${client.credentials.clientId}.`,
    ...(client.clientSecretExpiresAt === undefined
      ? []
      : [`· Its secret expires at ${new Date(client.clientSecretExpiresAt * 1000).toISOString()}.`]),
    ...client.changes.map(
      ({ name, requested, registered, breaksSignIn }) =>
        `${breaksSignIn ? '✗' : '!'} ${name}: requested ${format(requested)}, registered ${format(registered)}`,
    ),
    ...(save === undefined && update === undefined
      ? []
      : [`· The client is kept in ${update ?? save}, with its secrets.`]),
    ...(printSecrets ? ['', JSON.stringify(client, null, 2)] : []),
  ]
  return { text: `${lines.join('\n')}\n`, status }
}

/** The provider has chosen it. */
function format(value: unknown): string {
  return value === undefined ? 'nothing' : printable(JSON.stringify(value), LONGEST)
}
