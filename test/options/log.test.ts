import assert from 'node:assert/strict'
import { afterEach, describe, mock, test } from 'node:test'
import { createLog, type Logger } from '../../lib/options/log.js'
import { openFixture } from '../support/handler-fixture.js'

type Call = readonly [name: string, ...args: readonly unknown[]]

/** A logger that writes down its calls, with these methods. */
function recorder(names: readonly string[], more: object = {}): { logger: Logger; calls: Call[] } {
  const calls: Call[] = []
  const methods = names.map(name => [name, (...args: unknown[]) => void calls.push([name, ...args])])
  return { logger: { ...Object.fromEntries(methods), ...more } as unknown as Logger, calls }
}

const all = ['error', 'warn', 'info']
afterEach(() => mock.restoreAll())

/** What standard error gets. */
function watchStandardError(): unknown[] {
  const lines: unknown[] = []
  mock.method(console, 'error', (...args: unknown[]) => void lines.push(...args))
  return lines
}

describe('the option log', () => {
  test('left out: a line on standard error, and nothing but the line', () => {
    const lines = watchStandardError()
    createLog(undefined)('a line', { level: 'error', code: 'ERR_OIDC_OPTIONS' })
    assert.deepEqual(lines, ['express-hybrid-oidc: a line'])
  })

  test('a function gets the line and nothing but the line', () => {
    const calls: unknown[][] = []
    createLog((...args: unknown[]) => calls.push(args))('a line', { code: 'ERR_OIDC_OPTIONS' })
    assert.deepEqual(calls, [['a line']])
  })

  test('console and winston get the line and then the fields, at the level of the line', () => {
    const { logger, calls } = recorder(all)
    const log = createLog(logger)
    log('1', { level: 'error', code: 'ERR_OIDC_OPTIONS', status: undefined })
    log('2', { level: 'info' })
    log('3', { path: '/' })
    log('4')
    assert.deepEqual(calls, [
      ['error', 'express-hybrid-oidc: 1', { code: 'ERR_OIDC_OPTIONS' }],
      ['info', 'express-hybrid-oidc: 2'],
      ['warn', 'express-hybrid-oidc: 3', { path: '/' }],
      ['warn', 'express-hybrid-oidc: 4'],
    ])
  })

  for (const [name, more] of [
    ['pino', { bindings: () => ({}) }],
    ['bunyan', { fields: {} }],
  ] as const) {
    test(`${name} gets the fields and then the line`, () => {
      const { logger, calls } = recorder(all, more)
      createLog(logger)('a line', { level: 'error', code: 'ERR_OIDC_OPTIONS' })
      const fields = { component: 'express-hybrid-oidc', code: 'ERR_OIDC_OPTIONS' }
      assert.deepEqual(calls, [['error', fields, 'a line']])
    })
  }

  test('a logger without a level gets the line at the next one', () => {
    for (const [names, expected] of [
      [['error'], ['error', 'error', 'error']],
      [
        ['warning', 'error'],
        ['warning', 'warning', 'error'],
      ],
      [['warn'], ['warn', 'warn', 'warn']],
    ] as const) {
      const { logger, calls } = recorder(names)
      for (const level of ['info', 'warn', 'error'] as const) createLog(logger)('a line', { level })
      assert.deepEqual(
        calls.map(([name]) => name),
        expected,
      )
    }
  })

  test('methods are called as methods, and looked up for each line', () => {
    const calls: string[] = []
    const logger = {
      name: 'one',
      warn() {
        calls.push(this.name)
      },
      error() {},
    }
    const log = createLog(logger)
    log('a line')
    logger.warn = () => void calls.push('two')
    log('a line')
    assert.deepEqual(calls, ['one', 'two'])
  })

  for (const [how, warn] of Object.entries({
    throws: () => {
      throw new Error('full')
    },
    rejects: async () => {
      throw new Error('full')
    },
    'is gone': undefined,
  })) {
    test(`a logger whose method ${how}: the line goes to standard error`, async () => {
      const lines = watchStandardError()
      const logger = { warn: () => {}, error: undefined } as unknown as { warn: unknown }
      const log = createLog(logger as unknown as Logger)
      logger.warn = warn
      log('a line', { code: 'ERR_OIDC_OPTIONS' })
      await new Promise(resolve => setImmediate(resolve))
      assert.deepEqual(lines, ['express-hybrid-oidc: a line'])
    })
  }
})

test('a failure at a site: the logger gets code, status, path and the correlation id of the page; one that throws harms no request', async () => {
  const { logger, calls } = recorder(all)
  const lines = watchStandardError()
  for (const log of [logger, { error: () => assert.fail('full'), warn: () => assert.fail('full') }]) {
    const fixture = await openFixture({ oidc: { log: log as Logger }, site: { handlesErrors: false } })
    try {
      const page = await fixture.agent.open(`${fixture.site.url}/callback?state=x`)
      assert.equal(page.status, 405)
      const id = /[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/.exec(page.text)?.[0]
      assert.ok(id, page.text)
      if (log === logger) {
        const [level, line, fields] = calls.find(([, line]) => String(line).includes(id)) ?? []
        assert.equal(level, 'warn')
        assert.match(
          String(line),
          new RegExp(`^express-hybrid-oidc: \\[${id}\\] ERR_OIDC_REQUEST_METHOD GET /callback: `),
        )
        const expected = { status: 405, method: 'GET', path: '/callback', correlationId: id }
        assert.deepEqual(fields, { code: 'ERR_OIDC_REQUEST_METHOD', ...expected })
      } else assert.ok(lines.some(each => String(each).includes(id)))
    } finally {
      await fixture.close()
    }
  }
})
