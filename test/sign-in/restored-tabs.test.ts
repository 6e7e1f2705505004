import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { BrowserContext, Page } from 'playwright-core'
import { createSelfSigned } from '../attacks/self-signed.js'
import { scale } from '../faults/scale.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { startHostileProvider } from '../support/hostile-provider.js'
import { startLoopbackServer } from '../support/loopback-server.js'
import { type Nginx, startNginx } from '../support/nginx.js'
import { startProvider } from '../support/provider.js'
import { type Site, startSite } from '../support/site.js'

let chromium: Chromium

before(async () => {
  chromium = await startChromium({ args: ['--ignore-certificate-errors'] })
})
after(() => chromium.close())

/** A browser that restores its tabs: all of them ask at once, each without the cookies of the others. */
async function restore(context: BrowserContext, addresses: readonly string[]): Promise<Page[]> {
  const tabs = await Promise.all(addresses.map(() => context.newPage()))
  await Promise.all(tabs.map((tab, index) => tab.goto(addresses[index] ?? '', { waitUntil: 'commit' })))
  return tabs
}

/** What is wrong: tabs that are not on their page, or show something else than the claims. */
async function findStrays(tabs: readonly Page[], addresses: readonly string[]): Promise<string[]> {
  const outcomes = tabs.map(async (tab, index) => {
    await tab.waitForURL(addresses[index] ?? '', { timeout: 60_000 }).catch(() => {})
    const text = await tab.innerText('body').catch(() => '')
    return tab.url() === addresses[index] && text.includes('"sub"')
      ? []
      : [`${index}: ${text.slice(0, 300)} at ${tab.url().slice(0, 300)}`]
  })
  return (await Promise.all(outcomes)).flat()
}

function addressesOf(url: string, count: number, length: number): string[] {
  return Array.from({ length: count }, (_, index) => `${url}/claims?tab=${index}&x=${'a'.repeat(length)}`)
}

async function assertSmallCookies(context: BrowserContext, url: string): Promise<void> {
  const cookies = await context.cookies(url)
  const length = cookies.reduce((sum, { name, value }) => sum + name.length + value.length + 3, 0)
  assert.ok(length < 600, `${length} characters of cookies`)
}

const sizes = [
  [30, 0],
  [12, 500],
  [8, 1000],
  [6, 2000],
] as const

/** `npm test` takes the most tabs, the longest addresses and a pair between them; `npm run test:long` every pair in every place. */
const quick: Readonly<Record<string, readonly number[]>> = { directly: [30], 'HTTP/1.1': [12, 6], 'HTTP/2': [8, 6] }

interface Front {
  readonly url: string
  /** The site that stands behind it. */
  readonly port: number
  close(): Promise<void>
}

async function freePort(): Promise<number> {
  const server = await startLoopbackServer(() => {})
  await server.stop()
  return server.port
}

async function openFront(kind: 'directly' | 'HTTP/1.1' | 'HTTP/2'): Promise<Front> {
  const port = await freePort()
  if (kind === 'directly') return { url: `http://localhost:${port}`, port, close: async () => {} }
  if (kind === 'HTTP/1.1') {
    const nginx: Nginx = await startNginx({ upstream: port })
    return { url: `http://localhost:${nginx.port}`, port, close: nginx.close }
  }
  const folder = mkdtempSync(join(tmpdir(), 'oidc-tls-'))
  const { cert, key } = createSelfSigned()
  writeFileSync(join(folder, 'certificate.pem'), cert)
  writeFileSync(join(folder, 'key.pem'), key)
  const secure = await freePort()
  const server = `listen 127.0.0.1:${secure} ssl http2;
ssl_certificate ${join(folder, 'certificate.pem')};
ssl_certificate_key ${join(folder, 'key.pem')};`
  const nginx = await startNginx({ upstream: port, server })
  return {
    url: `https://localhost:${secure}`,
    port,
    async close() {
      await nginx.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

for (const kind of ['directly', 'HTTP/1.1', 'HTTP/2'] as const) {
  const place = kind === 'directly' ? 'asked directly' : `behind nginx with its defaults, over ${kind}`
  describe(`tabs that are restored at once, with a site ${place}`, () => {
    for (const [count, length] of sizes.filter(([count]) => scale > 1 || quick[kind]?.includes(count))) {
      test(`${count} with ${length} more characters in the address: each lands on its page`, async () => {
        const provider = await startHostileProvider()
        const front = await openFront(kind)
        const { issuer, clientId, clientSecret } = provider
        const site: Site = await startSite({
          port: front.port,
          oidc: { issuer, clientId, clientSecret, baseUrl: front.url },
        })
        const context = await chromium.newContext()
        try {
          const addresses = addressesOf(front.url, count, length)
          const tabs = await restore(context, addresses)
          assert.deepEqual(await findStrays(tabs, addresses), [])
          await assertSmallCookies(context, front.url)
        } finally {
          await context.close()
          await site.close()
          await front.close()
          await provider.close()
        }
      })
    }
  })
}

test('thirty tabs at a real provider without a session there: the user signs in once, and each tab gets in', async () => {
  const provider = await startProvider({ signIn: 'form' })
  const { issuer, clientId, clientSecret } = provider
  const site = await startSite({ oidc: { issuer, clientId, clientSecret } })
  provider.register(site.url)
  const context = await chromium.newContext()
  try {
    const addresses = addressesOf(site.url, 30, 0)
    const tabs = await restore(context, addresses)
    for (const [index, tab] of tabs.entries()) {
      await tab.waitForLoadState()
      if (tab.url() === addresses[index]) continue
      // A tab that still shows the form is reloaded where the user has signed in meanwhile, as users do.
      if (index > 0) await tab.goto(addresses[index] ?? '')
      else {
        await tab.fill('input[name=login]', 'alice')
        await tab.click('button')
      }
      await tab.waitForURL(addresses[index] ?? '')
    }
    assert.deepEqual(await findStrays(tabs, addresses), [])
    await assertSmallCookies(context, site.url)
  } finally {
    await context.close()
    await site.close()
    await provider.close()
  }
})
