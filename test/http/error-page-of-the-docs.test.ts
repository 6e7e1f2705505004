import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { transform } from 'esbuild'
import express, { type ErrorRequestHandler } from 'express'
import { openIdConnect, requiresAuth } from '../../lib/index.js'
import { startFakeProvider } from '../../lib/testing/index.js'
import { secret } from '../support/secrets.js'
import { examplesOf, readPage, root, sectionOf } from '../tools/documentation.js'

/** The error handler of a block, copied from the page: what it imports is ours, and its app only takes the handler. */
async function handlerOf(source: string): Promise<ErrorRequestHandler> {
  mkdirSync(join(root, '.tmp'), { recursive: true })
  const folder = mkdtempSync(join(root, '.tmp', 'error-page-'))
  try {
    const code = source
      .replace(/^import express.*$/m, 'let taken; const express = () => ({ use: handler => { taken = handler } })')
      .replace("'express-hybrid-oidc'", `'${pathToFileURL(join(root, 'lib/index.ts')).href}'`)
    const file = join(folder, 'page.mjs')
    writeFileSync(file, `${(await transform(code, { loader: 'ts', format: 'esm' })).code}\nexport { taken }`)
    return ((await import(pathToFileURL(file).href)) as { readonly taken: ErrorRequestHandler }).taken
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

test('the error page of docs/recipes.md needs no view engine, leads to a new sign-in, and leaves the log as it is', async () => {
  const section = sectionOf(readPage('docs/recipes.md'), '## A friendly error page')
  const [block] = examplesOf({ name: 'docs/recipes.md', text: section })
  const provider = await startFakeProvider()
  const log: string[] = []
  const app = express()
  const baseUrl = 'http://localhost:3000'
  const oidc = openIdConnect({
    ...provider.options,
    baseUrl,
    secret: secret('error page'),
    log: line => log.push(line),
  })
  app.use(oidc)
  app.get('/orders', requiresAuth(), (_req, res) => void res.send('orders'))
  app.use(await handlerOf(block?.source ?? ''))
  try {
    const failed = await provider.refuse(app, 'server_error', { path: '/orders?page="2"' })
    assert.equal(failed.status, 400)
    assert.match(failed.text, /<p>The sign-in service could not sign you in\.<\/p>/)
    assert.match(failed.text, /<a href="\/login\?returnTo=%2Forders%3Fpage%3D%25222%2522">Start again<\/a>/)
    const cancelled = await provider.refuse(app, 'access_denied', { path: '/orders' })
    assert.equal(cancelled.status, 403)
    assert.match(cancelled.text, /<a href="\/">Start page<\/a>/)
    assert.equal(log.filter(line => line.startsWith('ERR_OIDC_AUTHORIZATION_FAILED POST /callback: ')).length, 1)
    assert.equal(log.filter(line => line.startsWith('the provider refused a sign-in: ')).length, 2)
  } finally {
    await oidc.close()
    await provider.close()
  }
})
