import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { examine } from '../../lib/doctor/doctor.js'
import { freePort } from '../support/nginx.js'
import { startProvider, type TestProvider } from '../support/provider.js'
import { secret } from '../support/secrets.js'
import { type Site, startSite } from '../support/site.js'

/** The doctor with a list of addresses, with oidc-provider and a site that runs. */
describe('the doctor of a site with several hosts', () => {
  let provider: TestProvider
  let site: Site
  let hosts: readonly [string, string]

  const options = () => {
    const { issuer, clientId, clientSecret } = provider
    return { issuer, clientId, clientSecret, baseUrl: [...hosts], secret: secret('session secret') }
  }
  const examined = async () => {
    const report = await examine({
      options: options(),
      environment: {},
      nodeVersion: process.versions.node,
      opensSite: true,
    })
    return { ...report, about: (id: string) => report.findings.filter(finding => finding.id === id) }
  }
  const uris = (host: string) => ({
    redirect: `${host}/callback`,
    logout: `${host}/logout/callback`,
  })
  const register = (known: readonly string[]) =>
    provider.register(hosts[0], {
      redirect_uris: known.map(host => uris(host).redirect),
      post_logout_redirect_uris: known.map(host => uris(host).logout),
    })

  before(async () => {
    provider = await startProvider()
    const port = await freePort()
    // Names that every system resolves by itself.
    hosts = [`http://localhost:${port}`, `http://127.0.0.1:${port}`]
    site = await startSite({ port, oidc: options() })
  })
  after(async () => {
    await site?.close()
    await provider?.close()
  })

  test('checks the redirect URI, the way back and the page of every host', async () => {
    register(hosts)
    const { about, ok, findings } = await examined()
    assert.equal(ok, true, JSON.stringify(findings))
    for (const host of hosts)
      for (const [id, text] of [
        ['redirect-uri', uris(host).redirect],
        ['logout', uris(host).logout],
        ['site', host],
      ] as const)
        assert.equal(about(id).filter(({ sentence }) => sentence.includes(text)).length, 1, `${id} of ${text}`)
  })

  test('names the host that the provider does not know, and no other', async () => {
    register([hosts[0]])
    const { about, ok } = await examined()
    assert.equal(ok, false)
    assert.deepEqual(
      about('redirect-uri').map(({ sentence }) => sentence.includes(hosts[0])),
      [true],
    )
    assert.match(about('redirect-uri.refused')[0]?.remedy ?? '', new RegExp(uris(hosts[1]).redirect))
    assert.match(about('logout.refused')[0]?.remedy ?? '', new RegExp(uris(hosts[1]).logout))
    assert.deepEqual([about('redirect-uri.refused').length, about('logout.refused').length], [1, 1])
  })

  test('lists what to register: the URIs of every host, and one logout address', async () => {
    const { registration } = await examined()
    const registered = (name: string) => registration.find(field => field.name === name)?.value
    assert.equal(registered('redirect_uris'), hosts.map(host => uris(host).redirect).join(' '))
    assert.equal(registered('post_logout_redirect_uris'), hosts.map(host => uris(host).logout).join(' '))
    assert.equal(registered('backchannel_logout_uri'), `${hosts[0]}/logout/backchannel`)
  })
})
