import { createReadStream } from 'node:fs'
import { request } from 'node:http'
import { fileURLToPath } from 'node:url'
import type { Express, NextFunction, Request, Response } from 'express'
import type { Session } from 'express-session'

/** One thing a handler does with `req.session`, or with its response. A program is a list of them, done one after another. */
export type Step =
  | { readonly op: 'set' | 'nest'; readonly key: string; readonly value: string }
  | { readonly op: 'delete'; readonly key: string }
  | { readonly op: 'regenerate' | 'destroy' | 'save' | 'reload' | 'touch' }
  | { readonly op: Ending | Later }

export const endings = [
  'json',
  'send',
  'sendBuffer',
  'sendEmpty',
  'sendStatus',
  'notModified',
  'end',
  'endText',
  'endBytes',
  'redirect',
  'writeHeadEnd',
  'writeEnd',
  'pipe',
  'sendFile',
  'events',
  'flushHeaders',
  'error',
] as const
export type Ending = (typeof endings)[number]

/** What a handler may do by mistake when it has answered already. */
export const laters = [
  'endAgain',
  'endTextAgain',
  'jsonAgain',
  'sendAgain',
  'redirectAgain',
  'setHeader',
  'removeHeader',
  'writeHead',
  'statusCode',
  'next',
] as const
export type Later = (typeof laters)[number]

export type Act = (req: Request, res: Response, next: NextFunction, trace: string[]) => unknown

/** What the client and the handler saw. */
export interface Seen {
  readonly status: number | undefined
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
  /** Whether the connection broke before the response was complete. */
  readonly isBroken: boolean
  readonly setCookies: readonly string[]
  /** What the handler noticed: errors of its calls, the state of the response after each. */
  readonly trace: readonly string[]
}

export interface Contestant {
  readonly origin: string
  /** Programs waiting for their request. */
  readonly programs: Map<string, Act>
}

const file = fileURLToPath(new URL('../../package.json', import.meta.url))

const calls: Readonly<Record<Ending | Later, (req: Request, res: Response, next: NextFunction) => unknown>> = {
  json: (_req, res) => res.json({ hello: 'world' }),
  send: (_req, res) => res.status(400).send('bad'),
  sendBuffer: (_req, res) => res.send(Buffer.from([1, 2, 3])),
  sendEmpty: (_req, res) => res.send(''),
  sendStatus: (_req, res) => res.sendStatus(204),
  notModified: (_req, res) => res.status(304).end(),
  end: (_req, res) => res.end(),
  endText: (_req, res) => res.end('texté', 'latin1'),
  endBytes: (_req, res) => res.end(new Uint8Array([65, 66])),
  redirect: (_req, res) => res.redirect('/elsewhere'),
  writeHeadEnd: (_req, res) => res.writeHead(201, { 'X-Of-Site': 'yes', 'Content-Length': '4' }).end('four'),
  writeEnd: (_req, res) => {
    res.write('one')
    res.write('two')
    res.end('three')
  },
  pipe: (_req, res) => createReadStream(file).pipe(res),
  sendFile: (_req, res) => res.sendFile(file),
  events: (_req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' })
    res.write('data: 1\n\n')
    setImmediate(() => {
      res.write('data: 2\n\n')
      res.end()
    })
  },
  flushHeaders: (_req, res) => {
    res.flushHeaders()
    res.end('flushed')
  },
  error: (_req, _res, next) => next(Object.assign(new Error('of the site'), { status: 418, stack: 'of the site' })),
  endAgain: (_req, res) => void res.end(),
  endTextAgain: (_req, res) => void res.end('again'),
  jsonAgain: (_req, res) => void res.json({ again: true }),
  sendAgain: (_req, res) => void res.status(200).send('good'),
  redirectAgain: (_req, res) => res.redirect('/again'),
  setHeader: (_req, res) => void res.setHeader('X-Late', 'yes'),
  removeHeader: (_req, res) => res.removeHeader('Content-Type'),
  writeHead: (_req, res) => void res.writeHead(500),
  statusCode: (_req, res) => {
    res.statusCode = 500
  },
  next: (_req, _res, next) => next(),
}

/** A handler that does the steps, and says what it noticed. */
export function actOf(steps: readonly Step[]): Act {
  return async (req, res, next, trace) => {
    for (const step of steps) {
      if ('op' in step && step.op in calls) answerBy(step.op as Ending | Later, req, res, next, trace)
      else await change(req, step, trace)
    }
  }
}

function answerBy(op: Ending | Later, req: Request, res: Response, next: NextFunction, trace: string[]): void {
  const isLater = (laters as readonly string[]).includes(op)
  try {
    calls[op](req, res, next)
  } catch (error) {
    trace.push(`${op}: ${(error as { code?: string }).code}`)
  }
  // A file has not been answered with when the call returns.
  if (isLater) trace.push(`${op}: headersSent ${res.headersSent}`)
}

async function change(req: Request, step: Step, trace: string[]): Promise<void> {
  const session = req.session as (Session & Record<string, unknown>) | undefined
  if (session === undefined) return
  const done = (start: (callback: (error?: unknown) => void) => unknown) =>
    new Promise<void>(resolve => {
      start(error => {
        if (error) trace.push(`${step.op} failed`)
        resolve()
      })
    })
  switch (step.op) {
    case 'set':
      session[step.key] = step.value
      return
    case 'nest':
      session.nested = { ...(session.nested as object | undefined), [step.key]: step.value }
      ;(session.nested as Record<string, unknown>).last = { of: step.value }
      return
    case 'delete':
      delete session[step.key]
      return
    case 'touch':
      session.touch()
      return
    case 'regenerate':
    case 'destroy':
    case 'save':
    case 'reload': {
      const { op } = step
      return done(callback => session[op](callback))
    }
  }
}

/** Routes that do what the test says, and one that shows what is stored. */
export function addContest(app: Express, programs: Map<string, Act>, traces: Map<string, string[]>): void {
  app.all('/act/:id', (req, res, next) => {
    const id = String(req.params.id)
    const trace: string[] = []
    traces.set(id, trace)
    // A session that is not looked at leaves the response as Node made it.
    void req.session
    Promise.resolve(programs.get(id)?.(req, res, next, trace)).catch(next)
  })
  app.get('/stored', (req, res) => void res.json({ ...req.session, cookie: undefined }))
}

/** One request over a connection of its own. */
export function send(origin: string, method: string, path: string, cookie: string): Promise<Omit<Seen, 'trace'>> {
  const { port, host } = new URL(origin)
  return new Promise(resolve => {
    const chunks: Buffer[] = []
    let status: number | undefined
    let headers: Record<string, string | undefined> = {}
    let setCookies: readonly string[] = []
    const finish = (isBroken: boolean) =>
      resolve({ status, headers, setCookies, body: Buffer.concat(chunks).toString('latin1'), isBroken })
    const headersSent = { host, ...(cookie !== '' && { cookie }) }
    const outgoing = request({ host: '127.0.0.1', port, method, path, headers: headersSent, agent: false })
    outgoing.on('error', () => finish(true))
    outgoing.on('response', response => {
      status = response.statusCode
      setCookies = response.headers['set-cookie'] ?? []
      headers = response.headers as Record<string, string | undefined>
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => finish(!response.complete))
      response.on('error', () => finish(true))
    })
    outgoing.end()
  })
}

/** The cookies a browser holds after these responses, as it sends them. */
export function cookieHeader(jar: Map<string, string>, setCookies: readonly string[]): string {
  for (const text of setCookies) {
    const [pair = '', ...attributes] = text.split('; ')
    const [name = '', value = ''] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]
    if (attributes.includes('Max-Age=0')) jar.delete(name)
    else jar.set(name, value)
  }
  return [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
}
