// `npm start`: starts everything, says where it is, and ends everything on Ctrl-C. `npm start -- --fapi2` runs it as FAPI 2.0,
// `npm start -- --device-bound` with sessions that are bound to devices, `npm start -- --providers` with three identity servers.
import { type Sample, startSample } from './start-sample.js'

/** Milliseconds. Whatever has not closed by then is left to the end of the process. */
const closeTimeout = 3_000

try {
  const sample = await startSample()
  console.log(describe(sample))
  endWithProcess(sample)
} catch (error) {
  console.error(
    isPortTaken(error)
      ? `Port ${error.port} is taken. Choose others with PORT, API_PORT, IDENTITY_PORT (and IDENTITY_PORT_2, IDENTITY_PORT_3).`
      : error,
  )
  process.exit(1)
}

function describe({ siteUrl, identityUrl, providers, apiUrl, sessions, isFapi2, isDeviceBound }: Sample): string {
  const lines = [
    '',
    `  Site              ${siteUrl}`,
    ...(providers
      ? providers.map(({ title, issuer }) => `  ${title.padEnd(18)}${issuer}`)
      : [`  Identity server   ${identityUrl ?? `(yours: ${process.env.OIDC_ISSUER})`}`]),
    `  API               ${apiUrl}`,
    `  Sessions          ${describeSessions(sessions)}`,
    ...(isFapi2 ? ['  Profile           FAPI 2.0, with PAR, DPoP and signed responses (JARM)'] : []),
    ...(isDeviceBound ? [`  Device binding    ${describeDeviceBinding(siteUrl)}`] : []),
    '',
    `  ${describeUsers(identityUrl, providers)}Ctrl-C ends everything.`,
    '',
  ]
  return lines.join('\n')
}

function describeUsers(identityUrl: Sample['identityUrl'], providers: Sample['providers']): string {
  if (providers) return 'Each of the three identity servers shows its users where you sign in. '
  return identityUrl ? 'Sign in as alice (password alice) or bob (password bob). ' : ''
}

function describeDeviceBinding(siteUrl: string): string {
  const isSecure = siteUrl.startsWith('https:')
  return isSecure ? 'on, in browsers that can do it' : 'on, but browsers do it on https only: set OIDC_BASE_URL'
}

function describeSessions(sessions: Sample['sessions']): string {
  if (sessions === 'redis') return 'Redis, at REDIS_URL'
  if (sessions === 'own redis') return 'Redis, a redis-server of our own that ends with this process'
  return [
    'PROCESS MEMORY, because there is no redis-server on this machine and REDIS_URL is not set.',
    '                    Every restart signs all users out. For a first try only.',
  ].join('\n')
}

function endWithProcess(sample: Sample): void {
  let ending = false
  const end = () => {
    if (ending) process.exit(1)
    ending = true
    setTimeout(() => process.exit(1), closeTimeout).unref()
    sample.close().then(
      () => process.exit(0),
      error => {
        console.error(error)
        process.exit(1)
      },
    )
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end)
}

function isPortTaken(error: unknown): error is { port: number } {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE' && 'port' in error
}
