#!/usr/bin/env node
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import type { OidcOptions } from '../options/options.js'
import { examine } from './doctor.js'
import { renderReport } from './render.js'

const USAGE = `Usage: express-hybrid-oidc doctor [options]

Checks a set-up of express-hybrid-oidc from outside: options, provider, client, redirect URIs, Redis, cookies, proxies.
Without --config, the options come from the environment: OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET, OIDC_BASE_URL,
SESSION_SECRET, REDIS_URL.

  --config <file>    module whose default export is the options, or a function that returns them
  --env <file>       environment variables, a line each (NAME=value)
  --no-site          does not open the running site
  --json             prints the report as JSON
  --help             prints this text

Exit status: 0 no error was found, 1 an error was found, 2 the doctor could not start.
`

/** A mistake in the command line: its message is for the caller. */
class UsageError extends Error {}

interface Command {
  readonly config?: string | undefined
  readonly opensSite: boolean
  readonly json: boolean
}

/** Runs the command and returns the exit status. */
async function run(args: readonly string[]): Promise<number> {
  const command = readCommand(args)
  if (command === undefined) {
    process.stdout.write(USAGE)
    return 0
  }
  const options = command.config === undefined ? {} : await loadOptions(command.config)
  const { node: nodeVersion } = process.versions
  const report = await examine({ options, environment: process.env, nodeVersion, opensSite: command.opensSite })
  process.stdout.write(
    command.json ? `${JSON.stringify(report, null, 2)}\n` : renderReport(report, { colours: hasColours() }),
  )
  return report.ok ? 0 : 1
}

/** @returns `undefined` where help is asked for */
function readCommand(args: readonly string[]): Command | undefined {
  const { values, positionals } = parse(args)
  if (values.help) return undefined
  const [name, ...more] = positionals
  if (name !== 'doctor' || more.length > 0)
    throw new UsageError(
      name === undefined ? 'Which command? There is one: doctor.' : `There is no command "${positionals.join(' ')}".`,
    )
  if (values.env !== undefined) readEnvironment(values.env)
  return { config: values.config, opensSite: !values['no-site'], json: values.json }
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

async function loadOptions(file: string): Promise<OidcOptions> {
  const module = await importModule(file)
  const exported = module.default ?? module.options
  const given = typeof exported === 'function' && !('ready' in exported) ? await exported() : exported
  if (typeof given === 'function')
    throw new UsageError(`${file} exports the middleware. Export the options that it is made from.`)
  if (typeof given !== 'object' || given === null)
    throw new UsageError(`${file} has to export the options, as its default or with the name "options".`)
  return given as OidcOptions
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
    process.stderr.write(isUsage ? `${error.message}\n\n${USAGE}` : `The doctor could not start: ${String(error)}\n`)
    process.exit(2)
  },
)
