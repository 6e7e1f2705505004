// `npm start`: starts everything, says where it is, and ends everything on Ctrl-C. `npm start -- --fapi2` runs it as FAPI 2.0,
// `npm start -- --device-bound` with sessions that are bound to devices.
import { type Sample, startSample } from './start-sample.js'

/** Milliseconds. Whatever has not closed by then is left to the end of the process. */
const closeTimeout = 3_000

try {
  const sample = await startSample()
  console.log(describe(sample))
  endWithProcess(sample)
} catch (error) {
  console.error(
    isPortTaken(error) ? `Port ${error.port} is taken. Choose others with PORT, IDENTITY_PORT, API_PORT.` : error,
  )
  process.exit(1)
}

function describe({ siteUrl, identityUrl, apiUrl, sessions, isFapi2, isDeviceBound }: Sample): string {
  const lines = [
    '',
    `  Site              ${siteUrl}`,
    `  Identity server   ${identityUrl ?? `(yours: ${process.env.OIDC_ISSUER})`}`,
    `  API               ${apiUrl}`,
    `  Sessions          ${describeSessions(sessions)}`,
    ...(isFapi2 ? ['  Profile           FAPI 2.0, with PAR, DPoP and signed responses (JARM)'] : []),
    ...(isDeviceBound ? [`  Device binding    ${describeDeviceBinding(siteUrl)}`] : []),
    '',
    identityUrl
      ? '  Sign in as alice (password alice) or bob (password bob). Ctrl-C ends everything.'
      : '  Ctrl-C ends everything.',
    '',
  ]
  return lines.join('\n')
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
