#!/usr/bin/env node
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import type { SiteOptions } from '../registration/one-provider.js'
import { examine } from './doctor.js'
import type { RegisterCommand } from './register-command.js'
import { renderReport } from './render.js'
import { UsageError } from './usage.js'

const USAGE = `Usage: express-hybrid-oidc doctor [options]
       express-hybrid-oidc register --save <file> [options]

doctor checks a set-up of express-hybrid-oidc from outside: options, provider, client, redirect URIs, Redis, cookies, proxies.
register registers the site at its provider (dynamic client registration). OIDC_INITIAL_ACCESS_TOKEN and OIDC_SOFTWARE_STATEMENT
are read from the environment only.
Without --config, the options come from the environment: OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET, OIDC_BASE_URL,
SESSION_SECRET, REDIS_URL.

  --config <file>    module whose default export is the options, or a function that returns them
  --env <file>       environment variables, a line each (NAME=value)
  --provider <name>  one of several providers; for doctor it may be given several times
  --json             prints the result as JSON

doctor:
  --no-site          does not open the running site

register:
  --save <file>      keeps the client there, with its secrets; the file must not be there yet
  --update <file>    registers the client in the file anew, as the options say now, and writes the file
  --delete <file>    deletes the client in the file at the provider
  --metadata <file>  JSON with more members: client_name, logo_uri, contacts
  --print-secrets    prints the client with its secrets

  --help             prints this text

Exit status: 0 all is well, 1 an error was found, or the provider has refused or changed what sign-ins need, 2 the command
could not start.
`

interface Command {
  readonly name: 'doctor' | 'register'
  readonly config?: string | undefined
  readonly opensSite: boolean
  readonly json: boolean
  readonly providers: readonly string[]
  readonly register: Omit<RegisterCommand, 'provider' | 'json'>
}

/** Runs the command and returns the exit status. */
async function run(args: readonly string[]): Promise<number> {
  const command = readCommand(args)
  if (command === undefined) {
    process.stdout.write(USAGE)
    return 0
  }
  const options = command.config === undefined ? {} : await loadOptions(command.config)
  if (command.name === 'register') return register(command, options)
  const { node: nodeVersion } = process.versions
  const { opensSite, providers } = command
  const report = await examine({ options, environment: process.env, nodeVersion, opensSite, providers })
  process.stdout.write(
    command.json ? `${JSON.stringify(report, null, 2)}\n` : renderReport(report, { colours: hasColours() }),
  )
  return report.ok ? 0 : 1
}

/** Loaded where it is used. */
async function register({ register: given, providers, json }: Command, options: SiteOptions): Promise<number> {
  const { runRegister } = await import('./register-command.js')
  const { text, status } = await runRegister({ ...given, provider: providers[0], json }, options, process.env)
  process.stdout.write(text)
  return status
}

/** @returns `undefined` where help is asked for */
function readCommand(args: readonly string[]): Command | undefined {
  const { values, positionals } = parse(args)
  if (values.help) return undefined
  const [name, ...more] = positionals
  if ((name !== 'doctor' && name !== 'register') || more.length > 0)
    throw new UsageError(
      name === undefined
        ? 'Which command? There are two: doctor and register.'
        : `There is no command "${positionals.join(' ')}".`,
    )
  const { config, env, json, provider: providers, 'print-secrets': printSecrets, 'no-site': isWithoutSite } = values
  const { save, update, delete: deleted, metadata } = values
  checkOptionsOf(name, { ...values, provider: undefined }, providers)
  if (env !== undefined) readEnvironment(env)
  const own = { save, update, delete: deleted, metadata, printSecrets }
  return { name, config, opensSite: !isWithoutSite, json, providers, register: own }
}

const ONLY_FOR: Readonly<Record<Command['name'], readonly string[]>> = {
  doctor: ['no-site'],
  register: ['save', 'update', 'delete', 'metadata', 'print-secrets'],
}

/** An option of the other command is a mistake, and would mean nothing. */
function checkOptionsOf(
  name: Command['name'],
  values: Readonly<Record<string, unknown>>,
  providers: readonly string[],
) {
  const foreign = ONLY_FOR[name === 'doctor' ? 'register' : 'doctor'].find(option => values[option])
  if (foreign !== undefined) throw new UsageError(`--${foreign} is no option of ${name}.`)
  if (name === 'register' && providers.length > 1)
    throw new UsageError('Only one --provider can be registered at once.')
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: 'string' },
        env: { type: 'string' },
        'no-site': { type: 'boolean', default: false },
        provider: { type: 'string', multiple: true, default: [] as string[] },
        save: { type: 'string' },
        update: { type: 'string' },
        delete: { type: 'string' },
        metadata: { type: 'string' },
        'print-secrets': { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : 'The options cannot be read.')
  }
}

/** What is set in the environment already counts for more than the file. */
function readEnvironment(file: string): void {
  try {
    process.loadEnvFile(file)
  } catch {
    throw new UsageError(`The file ${file} cannot be read.`)
  }
}

async function loadOptions(file: string): Promise<SiteOptions> {
  const module = await importModule(file)
  const exported = module.default ?? module.options
  const given = typeof exported === 'function' && !('ready' in exported) ? await exported() : exported
  if (typeof given === 'function')
    throw new UsageError(`${file} exports the middleware. Export the options that it is made from.`)
  if (typeof given !== 'object' || given === null)
    throw new UsageError(`${file} has to export the options, as its default or with the name "options".`)
  return given as SiteOptions
}

async function importModule(file: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>
  } catch (error) {
    throw new UsageError(`${file} cannot be loaded: ${error instanceof Error ? error.message : 'unknown error'}`)
  }
}

/** A terminal, unless the user asks for no colours. https://no-color.org */
function hasColours(): boolean {
  return process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb'
}

run(process.argv.slice(2)).then(
  status => {
    // A client of Redis that the options brought along keeps the process alive.
    process.stdout.write('', () => process.exit(status))
  },
  (error: unknown) => {
    const isUsage = error instanceof UsageError
    process.stderr.write(isUsage ? `${error.message}\n\n${USAGE}` : `The command could not start: ${String(error)}\n`)
    process.exit(2)
  },
)
