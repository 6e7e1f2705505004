import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { findTool } from '../tools/ensure-tools.mjs'

export interface Chromium {
  /** Another profile: cookies of its own. */
  newContext(): Promise<BrowserContext>
  /** A page in a profile of its own. */
  newPage(): Promise<Page>
  close(): Promise<void>
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

/** A real Chromium without a window. It keeps nothing: home and profile are new, and gone after `close`. */
export async function startChromium(): Promise<Chromium> {
  const executablePath = findTool('chromium')
  if (executablePath === undefined)
    throw new Error('There is no Chromium: node test/tools/ensure-tools.mjs says what to do')
  const home = mkdtempSync(join(tmpdir(), 'oidc-chromium-'))
  // As root, and in most containers, Chromium's own sandbox cannot be set up.
  const sandbox = process.getuid?.() === 0 || process.env.CI ? ['--no-sandbox'] : []
  const browser = await chromium.launch({
    executablePath,
    headless: true,
    args: [...ARGUMENTS, ...sandbox],
    env: { ...definedOnly(process.env), HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home },
  })
  const newContext = () => browser.newContext()
  return {
    newContext,
    newPage: async () => (await newContext()).newPage(),
    async close() {
      await browser.close()
      rmSync(home, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

function definedOnly(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined))
}
