import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeBrowser } from '../../sample-app/site/describe-browser.js'

const webKit = 'AppleWebKit/537.36 (KHTML, like Gecko)'
const browsers: readonly (readonly [string | undefined, string])[] = [
  [`Mozilla/5.0 (X11; Linux x86_64) ${webKit} HeadlessChrome/156.0.0.0 Safari/537.36`, 'Chrome 156 on Linux'],
  [`Mozilla/5.0 (Linux; Android 16; K) ${webKit} Chrome/156.0.0.0 Mobile Safari/537.36`, 'Chrome 156 on Android'],
  [
    `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${webKit} Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0`,
    'Edge 156 on Windows',
  ],
  [
    `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${webKit} Chrome/156.0.0.0 Safari/537.36 OPR/120.0.0.0`,
    'Opera 120 on Windows',
  ],
  ['Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:152.0) Gecko/20100101 Firefox/152.0', 'Firefox 152 on macOS'],
  [
    'Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) Version/26.0 Mobile/15E148 Safari/604.1',
    'Safari 26 on iPhone',
  ],
  ['curl/8.5.0', 'Another browser'],
  ['', 'Another browser'],
  [undefined, 'Unknown browser'],
]

test('"My sessions" names a browser and its system by the User-Agent', () => {
  for (const [userAgent, name] of browsers) assert.equal(describeBrowser(userAgent), name)
})
