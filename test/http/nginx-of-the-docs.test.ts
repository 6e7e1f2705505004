import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createSelfSigned } from '../attacks/self-signed.js'
import { openFixture } from '../support/handler-fixture.js'
import { freePort, startNginx } from '../support/nginx.js'
import { readPage, sectionOf } from '../tools/documentation.js'

/** The block of docs/deployment.md as the `http` block of a real nginx: only names, ports and paths are replaced, each exactly once. */
function blockFor(replacements: Readonly<Record<string, string>>): string {
  const section = sectionOf(readPage('docs/deployment.md'), '### nginx')
  let block = /```nginx\n([\s\S]*?)```/.exec(section)?.[1] ?? ''
  for (const [old, value] of Object.entries(replacements)) {
    assert.equal(block.split(old).length, 2, `"${old}" is in the block once`)
    block = block.replace(old, value)
  }
  return block
}

test('the nginx block of docs/deployment.md serves a site: a user signs in by HTTPS and signs out', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'oidc-nginx-docs-'))
  const [port, secure] = [await freePort(), await freePort()]
  const { cert, key } = createSelfSigned()
  writeFileSync(join(folder, 'certificate.pem'), cert)
  writeFileSync(join(folder, 'key.pem'), key)
  const http = blockFor({
    '127.0.0.1:3000': `127.0.0.1:${port}`,
    'listen 443 ssl': `listen 127.0.0.1:${secure} ssl`,
    'www.example.com': 'localhost',
    '/etc/nginx/certificate.pem': join(folder, 'certificate.pem'),
    '/etc/nginx/key.pem': join(folder, 'key.pem'),
  })
  const nginx = await startNginx({ upstream: 'site', http })
  const url = `https://localhost:${secure}`
  const { agent, provider, close } = await openFixture({ oidc: { baseUrl: url }, site: { port } })
  try {
    const claims = await agent.visit(`${url}/claims?x=${'a'.repeat(2000)}`)
    assert.equal(claims.status, 200, claims.text)
    assert.match(String(claims.headers.server), /^nginx/)
    assert.equal(new URL(claims.url).origin, url)
    const names = agent.cookies(url).map(({ name }) => name)
    assert.ok(names.includes('__Host-sid'), `the cookies ${names}`)
    assert.equal((await agent.fetch(`${url}/user`)).json<{ isAuthenticated: boolean }>().isAuthenticated, true)
    await agent.post(`${url}/logout`, {})
    while (agent.page?.forms[0]?.isAutomatic) await agent.submitForm()
    assert.equal(provider.count('endSession'), 1)
    assert.equal((await agent.fetch(`${url}/user`)).json<{ isAuthenticated: boolean }>().isAuthenticated, false)
  } finally {
    await close()
    await nginx.close()
    rmSync(folder, { recursive: true, force: true })
  }
})
