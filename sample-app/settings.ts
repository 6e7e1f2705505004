import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'

/** What the three servers need to know. Every value can be set in the environment. */
export interface Settings {
  readonly sitePort: number
  readonly identityPort: number
  readonly apiPort: number
  /** Where browsers find the site, when that is not `http://localhost:<sitePort>`. */
  readonly baseUrl: string | undefined
  /** Another provider to sign in with. Without it the sample starts an identity server of its own. */
  readonly issuer: string | undefined
  readonly clientId: string
  readonly clientSecret: string | undefined
  readonly scope: string
  readonly responseType: string
  /** Key material for cookies and stored sessions. */
  readonly sessionSecret: string
  /** A Redis URL; `false`: process memory; left out: a redis-server of our own, if the machine has one. */
  readonly redis: string | false | undefined
  readonly api: ApiSettings
  /** The private key of the site where the sample runs as FAPI 2.0 (`npm start -- --fapi2`), with the built-in identity server only. */
  readonly fapi2: KeyObject | undefined
  /** Whether sessions are bound to the devices of browsers that can do it (`npm start -- --device-bound`). They do it on https only. */
  readonly deviceBound: boolean
  /** The identity servers of a site that has several (`npm start -- --providers`). Left out: it has one. */
  readonly providers: readonly NamedProvider[] | undefined
}

/** One of several identity servers. */
export interface NamedProvider {
  /** In paths and in sessions: `/login/acme`. */
  readonly name: string
  /** On pages. */
  readonly title: string
  readonly port: number
  /** Of the site at this identity server. */
  readonly clientSecret: string
  /** Of the API at this identity server. */
  readonly apiSecret: string
}

/** How the API knows itself to the provider. */
export interface ApiSettings {
  /** The audience access tokens are made for, when that is not the API's own address. */
  readonly audience: string | undefined
  /** The API's own client, with which it asks the provider about reference tokens. */
  readonly clientId: string
  readonly clientSecret: string | undefined
}

/** The configuration of the original sample, so far as the environment does not say otherwise. */
export function readSettings(env: NodeJS.ProcessEnv = process.env, flags = process.argv): Settings {
  const issuer = env.OIDC_ISSUER || undefined
  const hasProviders = flags.includes('--providers')
  if (hasProviders && (issuer !== undefined || flags.includes('--fapi2')))
    throw new Error('--providers goes with neither OIDC_ISSUER nor --fapi2: it starts identity servers of its own')
  return {
    sitePort: readPort(env.PORT, 3000),
    identityPort: readPort(env.IDENTITY_PORT, 3001),
    apiPort: readPort(env.API_PORT, 3002),
    baseUrl: env.OIDC_BASE_URL || undefined,
    issuer,
    clientId: env.OIDC_CLIENT_ID || 'katanaclient',
    clientSecret: env.OIDC_CLIENT_SECRET || (issuer === undefined ? developmentSecret() : undefined),
    scope: env.OIDC_SCOPE || 'openid email profile read write offline_access',
    responseType: env.OIDC_RESPONSE_TYPE || 'code id_token token',
    sessionSecret: env.SESSION_SECRET || developmentSecret(),
    redis: env.REDIS_URL || undefined,
    api: {
      audience: env.API_AUDIENCE || undefined,
      clientId: env.API_CLIENT_ID || 'sample-api',
      clientSecret: env.API_CLIENT_SECRET || (issuer === undefined ? developmentSecret() : undefined),
    },
    fapi2: issuer === undefined && flags.includes('--fapi2') ? createClientKey() : undefined,
    deviceBound: flags.includes('--device-bound'),
    providers: hasProviders ? createProviders(readPorts(env)) : undefined,
  }
}

/** Three identity servers, of three companies. */
export function createProviders([acme, globex, initech]: readonly [number, number, number]): readonly NamedProvider[] {
  const create = (name: string, title: string, port: number) => {
    return { name, title, port, clientSecret: developmentSecret(), apiSecret: developmentSecret() }
  }
  return [create('acme', 'Acme', acme), create('globex', 'Globex', globex), create('initech', 'Initech', initech)]
}

function readPorts(env: NodeJS.ProcessEnv): [number, number, number] {
  return [readPort(env.IDENTITY_PORT, 3001), readPort(env.IDENTITY_PORT_2, 3003), readPort(env.IDENTITY_PORT_3, 3004)]
}

// DEVELOPMENT ONLY: made anew at every start, so that nothing secret is stored in a file. A real site reads its secrets from
// the environment or a vault, and keeps SESSION_SECRET across restarts: otherwise every deployment signs all users out.
function developmentSecret(): string {
  return randomBytes(32).toString('base64url')
}

/** DEVELOPMENT ONLY, as above: a real site keeps its key in a vault, and the provider knows the public half. */
export function createClientKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
}

function readPort(text: string | undefined, fallback: number): number {
  if (text === undefined || text === '') return fallback
  const port = Number(text)
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new Error(`"${text}" is not a port`)
  return port
}
