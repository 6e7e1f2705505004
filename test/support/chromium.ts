import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { findTool } from '../tools/ensure-tools.mjs'

export interface Chromium {
  /** A private window: cookies of its own, and none sent from frames on other sites. Quick to make. */
  newContext(): Promise<BrowserContext>
  /** A page in a private window of its own. */
  newPage(): Promise<Page>
  /** A browser process with a profile as people have it, where frames on other sites do send `SameSite=None` cookies. */
  newProfile(): Promise<BrowserContext>
  close(): Promise<void>
}

export interface ChromiumOptions {
  readonly args?: readonly string[]
  /** Whether it has the back/forward cache that people's browsers have. */
  readonly bfcache?: boolean
}

const ARGUMENTS = [
  '--disable-gpu',
  '--disable-quic',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** In milliseconds: as long as a browser that works may take to open or close a window on a busy machine. */
const RESPONDS = 20_000

/** In milliseconds: Playwright ends a browser by force after 30 seconds. */
const CLOSES = 45_000

/** A real Chromium without a window. It keeps nothing: home and profile are new, and gone after `close`. */
export async function startChromium({ args = [], bfcache = false }: ChromiumOptions = {}): Promise<Chromium> {
  const executablePath = findTool('chromium')
  if (executablePath === undefined)
    throw new Error('There is no Chromium: node test/tools/ensure-tools.mjs says what to do')
  const home = mkdtempSync(join(tmpdir(), 'oidc-chromium-'))
  // As root, and in most containers, Chromium's own sandbox cannot be set up.
  const sandbox = process.getuid?.() === 0 || process.env.CI ? ['--no-sandbox'] : []
  const settings = {
    executablePath,
    headless: true,
    args: [...ARGUMENTS, ...sandbox, ...args],
    ...(bfcache && { ignoreDefaultArgs: ['--disable-back-forward-cache'] }),
    env: { ...definedOnly(process.env), HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home },
  }
  let browser = await chromium.launch(settings)
  const profiles: BrowserContext[] = []

  /** A browser that hangs is left alone, and another one takes over: Playwright itself would wait without end. */
  async function newContext(): Promise<BrowserContext> {
    let context = await within(RESPONDS, browser.newContext())
    if (!context) {
      void browser.close().catch(() => {})
      browser = await chromium.launch(settings)
      context = await browser.newContext()
    }
    const close = context.close.bind(context)
    context.close = async options => void (await within(RESPONDS, close(options)))
    return context
  }

  return {
    newContext,
    newPage: async () => (await newContext()).newPage(),
    async newProfile() {
      const profile = await chromium.launchPersistentContext(prepareProfile(home, profiles.length), settings)
      profiles.push(profile)
      return profile
    },
    async close() {
      await within(CLOSES, Promise.all([browser.close(), ...profiles.map(profile => profile.close())]))
      rmSync(home, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** What the promise becomes, or undefined after the time. */
async function within<Value>(milliseconds: number, promise: Promise<Value>): Promise<Value | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>(resolve => {
    timer = setTimeout(resolve, milliseconds, undefined)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Debian's Chromium blocks third-party cookies unless told otherwise; most people's browsers do not. */
function prepareProfile(home: string, index: number): string {
  const folder = join(home, `profile-${index}`)
  mkdirSync(join(folder, 'Default'), { recursive: true })
  const preferences = { profile: { cookie_controls_mode: 0, block_third_party_cookies: false } }
  writeFileSync(join(folder, 'Default', 'Preferences'), JSON.stringify(preferences))
  return folder
}

function definedOnly(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined))
}
