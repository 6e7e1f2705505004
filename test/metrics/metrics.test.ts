import assert from 'node:assert/strict'
import { channel } from 'node:diagnostics_channel'
import { describe, test } from 'node:test'
import type { OidcEvent } from '../../lib/index.js'
import { createMetrics, type MetricsTracer } from '../../lib/metrics/index.js'
import { withFixture } from '../support/handler-fixture.js'
import { deny } from '../support/hostile-provider.js'

const send = (event: Record<string, unknown>) => channel('express-hybrid-oidc').publish({ at: 5_000, ...event })

/** Samples of the text: name with labels, and value. Fails for a line that is none of the format's three. */
function parse(text: string): Map<string, number> {
  const samples = new Map<string, number>()
  const typed = new Set<string>()
  assert.ok(text.endsWith('\n'))
  for (const line of text.slice(0, -1).split('\n')) {
    const type = /^# TYPE ([a-z_]+) (counter|histogram|gauge)$/.exec(line)?.[1]
    if (type !== undefined) {
      assert.ok(!typed.has(type), `${type} is described twice`)
      typed.add(type)
      continue
    }
    if (/^# HELP [a-z_]+ [A-Z].*\.$/.test(line)) continue
    const match = /^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*\})? ([0-9.e+-]+)$/.exec(line)
    assert.ok(match, `not a line of the format: ${line}`)
    const name = match[1] ?? ''
    assert.ok(typed.has(name.replace(/_(bucket|sum|count)$/, '')) || typed.has(name), `${name} has no type`)
    const key = name + (match[2] ?? '')
    assert.ok(!samples.has(key), `${key} comes twice`)
    samples.set(key, Number(match[3]))
  }
  return samples
}

describe('metrics', () => {
  test(
    'count a sign-in, its steps, the requests it needs, and its end',
    withFixture({}, async ({ agent, site, provider }) => {
      const metrics = createMetrics({ oidc: site.oidc })
      try {
        await agent.visit(`${site.url}/claims`)
        await agent.post(`${site.url}/logout?local=1`, {})
        const samples = parse(await metrics.text())
        assert.equal(samples.get('oidc_sign_ins_started_total'), 1)
        assert.equal(samples.get('oidc_sign_ins_total{outcome="signed-in"}'), 1)
        assert.equal(samples.get('oidc_sign_in_duration_seconds_count{outcome="signed-in"}'), 1)
        assert.equal(samples.get('oidc_sign_in_step_duration_seconds_count{step="idToken",result="passed"}'), 1)
        const token = `method="POST",endpoint="${provider.issuer}/token",status="200"`
        assert.equal(samples.get(`oidc_provider_request_duration_seconds_count{${token}}`), 1)
        assert.equal(samples.get('oidc_sessions_ended_total{reason="logout"}'), 1)
        assert.equal(samples.get('oidc_store_up'), 1)
        assert.equal(samples.get('oidc_provider_up'), 1)
      } finally {
        metrics.stop()
      }
    }),
  )

  test(
    'name the error code of a sign-in that failed',
    withFixture({}, async ({ agent, site, provider }) => {
      const metrics = createMetrics()
      try {
        provider.break({ response: deny('server_error') })
        await agent.visit(`${site.url}/claims`)
        const samples = parse(await metrics.text())
        const failed = [...samples].filter(([name]) => name.startsWith('oidc_sign_ins_total{outcome="failed"'))
        assert.equal(failed.length, 1)
        assert.match(failed[0]?.[0] ?? '', /code="ERR_OIDC_[A-Z_]+"/)
        assert.ok(!samples.has('oidc_store_up'))
      } finally {
        metrics.stop()
      }
    }),
  )

  test('put a duration into the first class that holds it, and into all larger ones', async () => {
    const metrics = createMetrics({ buckets: [0.01, 0.1, 1] })
    try {
      for (const duration of [10, 10.5, 100, 5_000])
        send({ type: 'store-command', command: 'hset', duration, passed: true })
      const samples = parse(await metrics.text())
      const labels = 'command="hset",result="passed"'
      const classes = ['0.01', '0.1', '1', '+Inf'].map(le =>
        samples.get(`oidc_store_command_duration_seconds_bucket{${labels},le="${le}"}`),
      )
      assert.deepEqual(classes, [1, 3, 3, 4])
      assert.equal(samples.get(`oidc_store_command_duration_seconds_count{${labels}}`), 4)
      assert.equal(samples.get(`oidc_store_command_duration_seconds_sum{${labels}}`), 5.1205)
    } finally {
      metrics.stop()
    }
  })

  test('stay within a bound however many endpoints, commands and codes come, and say any value', async () => {
    const metrics = createMetrics()
    try {
      send({ type: 'store-trouble', command: 'a"b\\c\nd', reason: 'x' })
      for (let count = 0; count < 2_000; count += 1)
        send({ type: 'store-trouble', command: `command ${count}`, reason: 'x' })
      const samples = parse(await metrics.text())
      const errors = [...samples].filter(([name]) => name.startsWith('oidc_store_errors_total'))
      assert.equal(errors.length, 501)
      assert.equal(samples.get('oidc_store_errors_total{command="a\\"b\\\\c\\nd"}'), 1)
      assert.equal(
        errors.reduce((sum, [, value]) => sum + value, 0),
        2_001,
      )
    } finally {
      metrics.stop()
    }
  })

  test('reach a meter and a tracer of the site, whose mistakes end nothing', async () => {
    const measured: unknown[] = []
    const spans: unknown[] = []
    const instrument = (name: string) => ({
      add: (value: number, labels: object) => void measured.push([name, value, labels]),
      record: (value: number, labels: object) => void measured.push([name, value, labels]),
    })
    const tracer: MetricsTracer = {
      startSpan(name, { startTime, kind, attributes }) {
        const span = { name, startTime, kind, attributes, status: 0, end: 0 }
        spans.push(span)
        return {
          setStatus: ({ code }) => void Object.assign(span, { status: code }),
          end: time => void Object.assign(span, { end: time }),
        }
      },
    }
    const metrics = createMetrics({ meter: { createCounter: instrument, createHistogram: instrument }, tracer })
    const fail = () => {
      throw new Error('of the site')
    }
    const broken = createMetrics({
      meter: { createCounter: () => ({ add: fail }), createHistogram: () => ({ record: fail }) },
      tracer: { startSpan: fail },
    })
    try {
      send({ type: 'token-refresh', duration: 1_000, passed: false, code: 'ERR_OIDC_TOKEN_DENIED', transaction: 'abc' })
      send({ type: 'sign-out', reason: 'back-channel', sessions: 3 })
      assert.deepEqual(measured, [
        ['oidc.token.refreshes', 1, { result: 'failed', code: 'ERR_OIDC_TOKEN_DENIED' }],
        ['oidc.token.refresh.duration', 1, { result: 'failed' }],
        ['oidc.sign_outs', 1, { reason: 'back-channel' }],
        ['oidc.sessions.ended', 3, { reason: 'back-channel' }],
      ])
      const attributes = { 'oidc.transaction': 'abc', 'error.type': 'ERR_OIDC_TOKEN_DENIED' }
      const refresh = { name: 'oidc token refresh', startTime: 4_000, kind: 0, attributes, status: 2, end: 5_000 }
      assert.deepEqual(spans, [refresh])
      const call = { type: 'provider-call', method: 'POST', duration: 1_000, fields: {} }
      spans.length = 0
      send({
        ...call,
        endpoint: 'https://op.example.com/token',
        status: 400,
        passed: false,
        code: 'ERR_OIDC_TOKEN_DENIED',
      })
      send({ ...call, endpoint: 'http://localhost:8080/token', passed: false })
      send({ ...call, endpoint: 'http://localhost/token', status: 200, passed: true, code: 'ERR_OIDC_TOKEN_DENIED' })
      measured.length = 4
      const common = { name: 'POST', startTime: 4_000, kind: 2, end: 5_000 }
      const http = (url: string, address: string, port: number) => ({
        'http.request.method': 'POST',
        'url.full': url,
        'server.address': address,
        'server.port': port,
      })
      assert.deepEqual(spans, [
        {
          ...common,
          attributes: {
            ...http('https://op.example.com/token', 'op.example.com', 443),
            'http.response.status_code': 400,
            'error.type': '400',
          },
          status: 2,
        },
        {
          ...common,
          attributes: { ...http('http://localhost:8080/token', 'localhost', 8080), 'error.type': '_OTHER' },
          status: 2,
        },
        {
          ...common,
          attributes: { ...http('http://localhost/token', 'localhost', 80), 'http.response.status_code': 200 },
          status: 0,
        },
      ])
      assert.equal(parse(await broken.text()).get('oidc_sessions_ended_total{reason="back-channel"}'), 3)
    } finally {
      metrics.stop()
      broken.stop()
    }
    send({ type: 'sign-out', reason: 'logout', sessions: 1 } satisfies Partial<OidcEvent>)
    assert.equal(measured.length, 4, 'stop() ends the counting')
  })

  test('refuse classes that do not ascend', () => {
    for (const buckets of [[], [0], [1, 1], [2, 1], [Number.NaN], [1, Number.POSITIVE_INFINITY]]) {
      assert.throws(() => createMetrics({ buckets }), TypeError)
    }
  })
})
