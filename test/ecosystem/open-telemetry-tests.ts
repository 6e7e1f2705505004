import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createMetrics, type Metrics, type MetricsTracer } from '../../lib/metrics/index.js'
import { scale } from '../faults/scale.js'
import { createAgent } from '../support/agent.js'
import { type Fixture, openFixture } from '../support/handler-fixture.js'
import { deny, startHostileProvider } from '../support/hostile-provider.js'
import { checkNoSecrets, checkNothingPersonal } from '../support/secrets.js'
import { installPackages, load, type Untyped } from './packages.js'

/** A span as an OTLP exporter sends it, in JSON. */
interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  /** 1: internal, 2: server, 3: client. OTLP counts from one more than the API. */
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly { readonly key: string; readonly value: Untyped }[]
  readonly status: { readonly code?: number; readonly message?: string }
}

const attributeOf = ({ attributes }: Span, wanted: string): unknown => {
  const value = attributes.find(({ key }) => key === wanted)?.value
  return value?.stringValue ?? value?.intValue
}

if (scale > 1) {
  before(installPackages)
  describe('spans of the SDK of OpenTelemetry, as an OTLP receiver gets them', { timeout: 120_000 }, spansTests)
  test('with the instrumentation of http, a request to the provider carries the context of the site', propagates)
}

function spansTests(): void {
  const bodies: string[] = []
  let receiver: Server
  let provider: Untyped
  let metrics: Metrics
  let fixture: Fixture
  let clockAhead = 0

  before(async () => {
    receiver = createServer((req, res) => {
      let body = ''
      req.on('data', chunk => (body += chunk))
      req.on('end', () => {
        if (req.url === '/v1/traces') bodies.push(body)
        res.setHeader('content-type', 'application/json').end('{}')
      })
    })
    await new Promise<void>(resolve => void receiver.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/v1/traces`
    const { NodeTracerProvider, BatchSpanProcessor } = load('@opentelemetry/sdk-trace-node')
    const { OTLPTraceExporter } = load('@opentelemetry/exporter-trace-otlp-http')
    provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url }))] })
    provider.register()
    const { trace } = load('@opentelemetry/api')
    const tracer = trace.getTracer('express-hybrid-oidc') as Untyped
    metrics = createMetrics({ tracer: tracer as MetricsTracer })
    fixture = await openFixture({
      oidc: {
        scope: 'openid profile email offline_access',
        now: () => new Date(Date.now() + clockAhead),
      },
      provider: { now: () => Math.floor((Date.now() + clockAhead) / 1000) },
      site: {
        // What the instrumentation of a site does: a span for each request, which is the current one while the request is handled.
        before: app =>
          void app.use((req, res, next) => {
            tracer.startActiveSpan(`${req.method} ${req.path}`, { kind: 1 }, (span: Untyped) => {
              res.once('close', () => span.end())
              next()
            })
          }),
        routes: app =>
          void app.get(
            '/token-page',
            async (req, res) => void res.json({ has: (await req.oidc.accessToken()) !== undefined }),
          ),
      },
    })
  })
  after(async () => {
    metrics?.stop()
    await fixture?.close()
    await provider?.shutdown()
    receiver?.closeAllConnections()
    receiver?.close()
  })

  /** What is exported of what the work does. */
  async function exported(work: () => Promise<unknown>): Promise<readonly Span[]> {
    bodies.length = 0
    await work()
    await new Promise(resolve => setImmediate(resolve))
    await provider.forceFlush()
    const text = bodies.join()
    checkNoSecrets(text, 'the spans')
    checkNothingPersonal(text, 'the spans')
    return bodies.flatMap(body =>
      (JSON.parse(body) as Untyped).resourceSpans.flatMap((resource: Untyped) =>
        resource.scopeSpans.flatMap((scope: Untyped) => scope.spans as Span[]),
      ),
    )
  }

  const requestOf = (spans: readonly Span[], path: RegExp) => {
    const [request, ...more] = spans.filter(({ kind, name }) => kind === 2 && path.test(name))
    assert.ok(request !== undefined && more.length === 0, `${path}: ${spans.map(({ name }) => name).join()}`)
    return request
  }

  test('a sign-in: callback, steps and calls are children of the request, with names and attributes of the conventions', async () => {
    const { site, provider: op } = fixture
    const spans = await exported(() => createAgent().visit(`${site.url}/claims`))
    const callback = requestOf(spans, /\/callback$/)
    const children = spans.filter(({ parentSpanId }) => parentSpanId === callback.spanId)
    const names = children.map(({ name }) => name)
    assert.ok(names.includes('oidc callback'), names.join())
    for (const key of ['transaction', 'idToken', 'session']) assert.ok(names.includes(`oidc step ${key}`), names.join())
    const calls = children.filter(({ kind }) => kind === 3)
    assert.deepEqual(new Set(calls.map(span => attributeOf(span, 'url.full'))).has(`${op.issuer}/token`), true)
    for (const span of calls) {
      assert.match(span.name, /^(?:GET|POST)$/)
      assert.equal(attributeOf(span, 'http.request.method'), span.name)
      assert.equal(Number(attributeOf(span, 'http.response.status_code')), 200)
      assert.equal(
        typeof span.attributes.find(({ key }) => key === 'http.response.status_code')?.value.intValue,
        'number',
      )
      assert.equal(attributeOf(span, 'server.address'), new URL(op.issuer).hostname)
      assert.equal(String(attributeOf(span, 'server.port')), new URL(op.issuer).port)
    }
    for (const span of children) {
      assert.equal(span.traceId, callback.traceId)
      assert.ok(BigInt(span.startTimeUnixNano) <= BigInt(span.endTimeUnixNano), span.name)
      assert.ok(span.status.code !== 2, span.name)
      assert.equal(attributeOf(span, 'error.type'), undefined)
    }
    assert.equal(new Set(children.map(span => attributeOf(span, 'oidc.transaction'))).size, 1)
    const known =
      /^(?:oidc\.(?:transaction|outcome)|http\.(?:request\.method|response\.status_code)|url\.full|server\.(?:address|port)|error\.type)$/
    for (const span of spans) for (const { key } of span.attributes) assert.match(key, known)
  })

  test('a sign-in that the provider refuses, and one whose code is refused, are spans with an error', async () => {
    const { site, provider: op } = fixture
    op.break({ response: deny('server_error') })
    const refused = await exported(() => createAgent().visit(`${site.url}/claims`))
    op.heal()
    const [callback] = refused.filter(({ name }) => name === 'oidc callback')
    assert.deepEqual(callback?.status, { code: 2, message: 'ERR_OIDC_AUTHORIZATION_FAILED' })
    assert.equal(attributeOf(callback, 'error.type'), 'ERR_OIDC_AUTHORIZATION_FAILED')
    assert.equal(attributeOf(callback, 'oidc.outcome'), 'failed')

    op.break({ token: { status: 400, body: { error: 'invalid_grant' } } })
    const spans = await exported(() => createAgent().visit(`${site.url}/claims`))
    op.heal()
    const [call] = spans.filter(span => span.kind === 3 && attributeOf(span, 'url.full') === `${op.issuer}/token`)
    assert.equal(call?.status.code, 2)
    assert.equal(Number(attributeOf(call as Span, 'http.response.status_code')), 400)
    assert.equal(attributeOf(call as Span, 'error.type'), '400')
  })

  test('a refresh belongs to the request that needed the token', async () => {
    const { site } = fixture
    const agent = createAgent()
    await agent.visit(`${site.url}/claims`)
    clockAhead += 2 * 3600 * 1000
    const spans = await exported(() => agent.open(`${site.url}/token-page`))
    const request = requestOf(spans, /\/token-page$/)
    const children = spans.filter(({ parentSpanId }) => parentSpanId === request.spanId).map(({ name }) => name)
    // The metadata and the keys may be asked for again.
    assert.deepEqual(children.filter(name => name !== 'GET').sort(), ['POST', 'oidc token refresh'])
  })
}

/** The instrumentation is there before the site is loaded. */
async function propagates(): Promise<void> {
  const op = await startHostileProvider({ clientId: 'shop' })
  const packages = fileURLToPath(new URL('../../.tmp/ecosystem/package.json', import.meta.url))
  const lib = new URL('../../lib/index.ts', import.meta.url).href
  const script = `
    import { createRequire } from 'node:module'
    const load = createRequire(${JSON.stringify(packages)})
    const { NodeTracerProvider } = load('@opentelemetry/sdk-trace-node')
    const { HttpInstrumentation } = load('@opentelemetry/instrumentation-http')
    const { trace } = load('@opentelemetry/api')
    const provider = new NodeTracerProvider()
    provider.register()
    new HttpInstrumentation().setTracerProvider(provider)
    load('http')
    load('https')
    const { openIdConnect } = await import(${JSON.stringify(lib)})
    const oidc = openIdConnect({
      issuer: process.env.OP, clientId: 'shop', clientSecret: process.env.OP_SECRET, baseUrl: 'http://localhost:1', secret: 'a secret of one test 0123456789abcdef', log() {},
    })
    await trace.getTracer('site').startActiveSpan('request', async span => {
      await oidc.clientCredentials({ scope: 'orders' }).catch(() => {})
      console.log(span.spanContext().traceId)
      span.end()
    })
    await oidc.close()
    process.exit(0)`
  try {
    const env = { ...process.env, OP: op.issuer, OP_SECRET: op.clientSecret }
    const args = ['--import', 'tsx', '--input-type=module', '--eval', script]
    const { stdout } = await promisify(execFile)(process.execPath, args, { env })
    const sent = op.requestsTo('token').map(({ headers }) => String(headers.traceparent))
    assert.equal(sent.length, 1)
    assert.match(sent[0] ?? '', new RegExp(`^00-${stdout.trim()}-[0-9a-f]{16}-01$`))
  } finally {
    await op.close()
  }
}
