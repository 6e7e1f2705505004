import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { startSample } from '../../sample-app/start-sample.js'
import { startChromium } from '../support/chromium.js'
import { root } from './documentation.js'

/** `npm run screenshots`: makes the pictures of the README anew, in the colours of day and of night. */
const folder = join(root, 'docs/images')

const pictures: readonly { readonly name: string; readonly path: string; readonly height: number }[] = [
  { name: 'claims', path: '/claims', height: 640 },
  { name: 'how-you-signed-in', path: '/how-you-signed-in', height: 760 },
]

mkdirSync(folder, { recursive: true })
const sample = await startSample({ sitePort: 0, identityPort: 0, apiPort: 0 })
const chromium = await startChromium()
try {
  for (const colorScheme of ['light', 'dark'] as const) {
    const context = await chromium.newContext()
    const page = await context.newPage()
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    await signIn(page)
    // The second one, because the first waits for code that was never run.
    await context.clearCookies({ name: 'sid' })
    await page.goto(`${sample.siteUrl}/claims`)
    for (const { name, path, height } of pictures) {
      await page.setViewportSize({ width: 960, height })
      await page.goto(`${sample.siteUrl}${path}`)
      await page.screenshot({ path: join(folder, `${name}-${colorScheme}.png`) })
    }
    await context.close()
  }
} finally {
  await chromium.close()
  await sample.close()
}

async function signIn(page: Page): Promise<void> {
  await page.goto(`${sample.siteUrl}/claims`)
  await page.fill('input[name=username]', 'alice')
  await page.fill('input[name=password]', 'alice')
  await page.click('button.primary')
  await page.waitForLoadState('load')
  const allow = page.getByRole('button', { name: 'Allow' })
  if (await allow.isVisible()) await allow.click()
  await page.waitForURL(`${sample.siteUrl}/claims`)
}
