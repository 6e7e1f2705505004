import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { parse } from 'yaml'
import { requiresAuth } from '../../lib/index.js'
import { createMetrics, type Metrics } from '../../lib/metrics/index.js'
import { INSTRUMENTS } from '../../lib/metrics/instruments.js'
import { createAgent } from '../support/agent.js'
import { type Fixture, openFixture } from '../support/handler-fixture.js'
import { deny } from '../support/hostile-provider.js'
import { type Prometheus, runPromtool, startPrometheus } from '../support/prometheus.js'
import { type RedisServer, startRedis, until } from '../support/redis.js'
import { readPage } from '../tools/documentation.js'

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly datasource?: { readonly uid: string }
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly refId: string; readonly expr: string; readonly datasource: { uid: string } }[]
}

interface Variable {
  readonly name: string
  readonly type: string
  readonly definition?: string
}

const text = readFileSync(new URL('../../docs/monitoring/grafana-dashboard.json', import.meta.url), 'utf8')
const dashboard = JSON.parse(text) as {
  readonly uid: string
  readonly schemaVersion: number
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly Variable[] }
}
/** The data source that the user chooses. */
const chosen = ['$', '{datasource}'].join('')
const queries = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })))

const rules = /```yaml\n(groups:[\s\S]*?)```/.exec(readPage('docs/diagnostics.md').text)?.[1] ?? ''
const alertNames = (parse(rules) as { groups: { rules: { alert: string }[] }[] }).groups.flatMap(group =>
  group.rules.map(({ alert }) => alert),
)

describe('the dashboard', () => {
  test('has what Grafana wants: ids of their own, a place on the grid, and no data source of another Grafana', () => {
    const ids = dashboard.panels.map(({ id }) => id)
    assert.equal(new Set(ids).size, ids.length)
    assert.ok(dashboard.schemaVersion >= 36)
    const taken = new Set<string>()
    for (const { title, gridPos } of dashboard.panels) {
      assert.ok(gridPos.x >= 0 && gridPos.x + gridPos.w <= 24, title)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          assert.ok(!taken.has(`${x} ${y}`), `${title} lies over another panel`)
          taken.add(`${x} ${y}`)
        }
      }
    }
    for (const { type, title, description, datasource, targets = [] } of dashboard.panels) {
      if (type === 'row') continue
      assert.ok(type === 'stat' || type === 'timeseries', title)
      assert.match(description ?? '', /\.$/, title)
      assert.equal(datasource?.uid, chosen, title)
      assert.ok(targets.length > 0, title)
      for (const target of targets) assert.equal(target.datasource.uid, chosen, title)
      assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title)
    }
  })

  test('uses variables that it has, and shows every metric', () => {
    const names = new Set(dashboard.templating.list.map(({ name }) => name))
    for (const [, name] of text.matchAll(/\$\{?(\w+)\}?/g)) {
      assert.ok(names.has(name ?? '') || name === '__rate_interval' || name === '__all', name)
    }
    const shown = queries.map(({ expr }) => expr).join()
    for (const { name, kind } of Object.values(INSTRUMENTS)) {
      const metric = `${name.replaceAll('.', '_')}${kind === 'counter' ? '_total' : '_seconds'}`
      assert.ok(shown.includes(metric), metric)
    }
  })
})

describe('the alert rules of docs/diagnostics.md', () => {
  test('are rules of Prometheus', () => {
    assert.equal(runPromtool(['check', 'rules', 'rules.yml'], { 'rules.yml': rules }), '')
  })

  /** Series of ten minutes and more, a sample a minute, and the alerts that fire at their end. */
  const sound = {
    'oidc_sign_ins_total{outcome="signed-in"}': '0+60x30',
    'oidc_sign_ins_total{outcome="failed",code="ERR_OIDC_TRANSACTION_MISSING"}': '0+3x30',
    'oidc_token_refreshes_total{result="failed",code="ERR_OIDC_TOKEN_DENIED"}': '0+1x30',
    'oidc_store_up{instance="a"}': '1x30',
    'oidc_store_up{instance="b"}': '1x30',
    'oidc_provider_up{instance="a"}': '1x30',
  }
  const cases: readonly (readonly [string, Readonly<Record<string, string>>, readonly string[]])[] = [
    ['a site that is well', {}, []],
    [
      'sign-ins that fail',
      { 'oidc_sign_ins_total{outcome="failed",code="ERR_OIDC_TRANSACTION_MISSING"}': '0+30x30' },
      ['SignInsFail'],
    ],
    ['one process without Redis', { 'oidc_store_up{instance="b"}': '1x27 0x3' }, ['RedisDoesNotAnswer']],
    ['a process without Redis for less than a minute', { 'oidc_store_up{instance="b"}': '1x29 0' }, []],
    [
      'refreshes that fail',
      { 'oidc_token_refreshes_total{result="failed",code="ERR_OIDC_TOKEN_DENIED"}': '0+12x30' },
      ['RefreshesFail'],
    ],
    ['a provider that is away', { 'oidc_provider_up{instance="a"}': '1x20 0x10' }, ['ProviderDoesNotAnswer']],
  ]
  for (const [name, changed, expected] of cases) {
    test(`${name}: ${expected.join() || 'no alert'}`, () => {
      const series = Object.entries({ ...sound, ...changed }).map(([series, values]) => ({ series, values }))
      const alert_rule_test = alertNames.map(alertname => ({
        eval_time: '30m',
        alertname,
        exp_alerts: expected.includes(alertname) ? [EXPECTED[alertname]] : [],
      }))
      const file = { rule_files: ['rules.yml'], tests: [{ interval: '1m', input_series: series, alert_rule_test }] }
      // JSON is YAML.
      const said = runPromtool(['test', 'rules', 'test.yml'], {
        'rules.yml': rules.replace(/\n +annotations:\n.*$/gm, ''),
        'test.yml': JSON.stringify(file),
      })
      assert.equal(said, '')
    })
  }
})

/** The labels that an alert has. */
const EXPECTED: Readonly<Record<string, { readonly exp_labels: object }>> = {
  SignInsFail: { exp_labels: {} },
  RedisDoesNotAnswer: { exp_labels: {} },
  ProviderDoesNotAnswer: { exp_labels: {} },
  RefreshesFail: { exp_labels: { code: 'ERR_OIDC_TOKEN_DENIED' } },
}

describe('a real Prometheus', { timeout: 120_000 }, () => {
  let fixture: Fixture
  let redis: RedisServer
  let metrics: Metrics
  let prometheus: Prometheus
  let clockAhead = 0

  before(async () => {
    redis = await startRedis()
    fixture = await openFixture({
      oidc: {
        redis: redis.url,
        scope: 'openid profile email offline_access',
        routes: { keptForm: '/form' },
        now: () => new Date(Date.now() + clockAhead),
        timeouts: { redis: 400 },
      },
      provider: { now: () => Math.floor((Date.now() + clockAhead) / 1000) },
      site: {
        before: app =>
          app.get('/metrics', async (_req, res) => void res.type(metrics.contentType).send(await metrics.text())),
        routes: app => {
          app.post('/notes', requiresAuth({ keepForm: true }), (_req, res) => res.send('saved'))
          app.get(
            '/token-page',
            async (req, res) => void res.json({ has: (await req.oidc.accessToken()) !== undefined }),
          )
        },
      },
    })
    metrics = createMetrics({ oidc: fixture.site.oidc })
    // The same rules in seconds.
    const quick = rules.replace(/\bfor: \d+m/g, 'for: 1s').replace(/\[\d+m\]/g, '[6s]')
    prometheus = await startPrometheus(new URL(fixture.site.url).host, quick)
  })
  after(async () => {
    await prometheus?.stop()
    metrics?.stop()
    await fixture?.close()
    await redis?.stop()
  })

  /** Users who sign in, come back when their token has expired, and sign out; some fail. */
  async function work(): Promise<void> {
    const { site, provider } = fixture
    const agent = createAgent()
    await agent.visit(`${site.url}/claims`)
    clockAhead += 2 * 3600 * 1000
    await agent.open(`${site.url}/token-page`)
    await agent.post(`${site.url}/logout?local=1`, {})
    await agent.post(`${site.url}/notes`, { note: 'x' }, { from: `${site.url}/` })
    provider.break({ response: deny('server_error') })
    await createAgent().visit(`${site.url}/claims`)
    provider.heal()
  }

  async function workUntil(what: string, holds: () => Promise<boolean>): Promise<void> {
    let isOver = false
    const working = (async () => {
      while (!isOver) await work().catch(() => {})
    })()
    try {
      await until(what, holds)
    } finally {
      isOver = true
      await working
    }
  }

  const firing = async () =>
    (await prometheus.alerts()).filter(({ state }) => state === 'firing').map(({ labels }) => labels.alertname)

  test('every query of the dashboard returns data, and the alerts name what is broken', async t => {
    const fill = (expr: string) =>
      expr.replaceAll('$__rate_interval', '30s').replaceAll('$job', '.*').replaceAll('$instance', '.*')
    await workUntil('sign-ins fail', async () => (await firing()).includes('SignInsFail'))
    assert.ok(!(await firing()).includes('RedisDoesNotAnswer'))

    await redis.kill()
    await workUntil('Redis is missed', async () => (await firing()).includes('RedisDoesNotAnswer'))
    await redis.restart()
    const empty: string[] = []
    await workUntil('every query has data', async () => {
      empty.length = 0
      for (const { title, expr } of queries) {
        const samples = await prometheus.query(fill(expr))
        if (samples.length === 0 || samples.every(({ value }) => value[1] === 'NaN')) empty.push(`${title}: ${expr}`)
      }
      return empty.length === 0
    }).catch(error => assert.fail(`${error.message}: ${empty.join('\n')}`))
    await until('Redis is not missed any more', async () => !(await firing()).includes('RedisDoesNotAnswer'))

    for (const { definition = '' } of dashboard.templating.list.filter(({ type }) => type === 'query')) {
      const [, selector = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(definition) ?? []
      assert.equal((await prometheus.labelValues(label, fill(selector))).length, 1, definition)
    }
    t.diagnostic(`${queries.length} queries`)
  })
})
