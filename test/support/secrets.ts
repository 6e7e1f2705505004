import { randomBytes } from 'node:crypto'
import { appendFileSync } from 'node:fs'

/** Names the file in which every process of a test run writes down its secrets; `npm test` searches all output for them. */
export const SECRETS_FILE_VARIABLE = 'OIDC_TEST_SECRETS_FILE'

const SHORTEST = 16
const known = new Map<string, string>()
const personal = new Map<string, string>()

/** A new random value that must never appear in any output. `label` is what a report calls it. */
export function secret(label: string): string {
  return keepSecret(label, `s3cr3t-${randomBytes(16).toString('hex')}`)
}

/** Registers a value of another party, such as a token or a session id, and returns it. */
export function keepSecret(label: string, value: string): string {
  if (value.length < SHORTEST) throw new RangeError(`"${label}" is too short to be searched for`)
  if (known.has(value)) return value
  known.set(value, label)
  const file = process.env[SECRETS_FILE_VARIABLE]
  if (file) appendFileSync(file, `${JSON.stringify([label, value])}\n`)
  return value
}

/** Registers what a person may see on a page of theirs, and no log or error may say: an e-mail address. Returns it. */
export function keepPersonal(label: string, value: string): string {
  if (value.length >= SHORTEST) personal.set(value, label)
  return value
}

export interface Leak {
  readonly label: string
  readonly form: SecretForm
  /** 1 for the first line of the text. */
  readonly line: number
}

export type SecretForm = 'raw' | 'url-encoded' | 'base64' | 'base64url'

/** All secrets this process knows. */
export function knownSecrets(): ReadonlyMap<string, string> {
  return known
}

/** Reads what {@link keepSecret} wrote: value -> label. */
export function parseSecretsFile(text: string): Map<string, string> {
  const entries = text.split('\n').filter(line => line !== '')
  return new Map(
    entries.map(line => {
      const [label, value] = JSON.parse(line) as [string, string]
      return [value, label]
    }),
  )
}

/** Throws when `text`, such as the output of a process the test started, holds a secret of this process. */
export function checkNoSecrets(text: string, what: string): void {
  const [leak] = findSecrets(text, known)
  if (leak) throw new Error(`${what} holds the secret "${leak.label}" (${leak.form}) in line ${leak.line}`)
}

/** Throws when `text`, such as a log, holds a secret or something personal. */
export function checkNothingPersonal(text: string, what: string): void {
  checkNoSecrets(text, what)
  const [leak] = findSecrets(text, personal)
  if (leak) throw new Error(`${what} holds "${leak.label}" (${leak.form}) in line ${leak.line}`)
}

interface Needle {
  readonly text: string
  readonly label: string
  readonly form: SecretForm
}

/**
 * Where secrets stand in a text. A run makes thousands of secrets and little output, so the text is walked once and each
 * window of it looked up, instead of searching the text once per secret.
 */
export function findSecrets(text: string, secrets: ReadonlyMap<string, string>): Leak[] {
  if (text.length < SHORTEST) return []
  const byEnding = indexOf(secrets)
  const leaks: Leak[] = []
  for (let end = SHORTEST; end <= text.length; end += 1) {
    const bucket = byEnding.get(text.slice(end - SHORTEST, end))
    const found = bucket?.find(needle => text.startsWith(needle.text, end - needle.text.length))
    if (found) leaks.push({ label: found.label, form: found.form, line: countLines(text, end) })
  }
  return leaks
}

type Index = Map<string, Needle[]>

const indexes = new WeakMap<ReadonlyMap<string, string>, { readonly byEnding: Index; size: number }>()

/** Secrets are only ever added, and searched for again and again: what was indexed before stays. */
function indexOf(secrets: ReadonlyMap<string, string>): Index {
  const index = indexes.get(secrets) ?? { byEnding: new Map() as Index, size: 0 }
  indexes.set(secrets, index)
  for (const [value, label] of [...secrets].slice(index.size)) {
    for (const needle of needlesFor(value, label)) {
      // JWTs all begin alike; their ends differ.
      const ending = needle.text.slice(-SHORTEST)
      const bucket = index.byEnding.get(ending)
      if (bucket) bucket.push(needle)
      else index.byEnding.set(ending, [needle])
    }
  }
  index.size = secrets.size
  return index.byEnding
}

function countLines(text: string, end: number): number {
  let lines = 1
  for (let at = text.indexOf('\n'); at !== -1 && at < end; at = text.indexOf('\n', at + 1)) lines += 1
  return lines
}

function needlesFor(value: string, label: string): Needle[] {
  const forms = new Map<string, SecretForm>([[value, 'raw']])
  const add = (text: string, form: SecretForm) => {
    if (text.length >= SHORTEST && !forms.has(text)) forms.set(text, form)
  }
  add(encodeURIComponent(value), 'url-encoded')
  add(new URLSearchParams({ v: value }).toString().slice(2), 'url-encoded')
  for (const offset of [0, 1, 2]) {
    add(encodeInside(value, offset, 'base64'), 'base64')
    add(encodeInside(value, offset, 'base64url'), 'base64url')
  }
  return [...forms].map(([text, form]) => ({ text, label, form }))
}

/**
 * The characters that stand in a base64 text wherever the value begins at `offset` within its groups of three bytes: a
 * secret after `client:` in Basic credentials looks different from the secret encoded alone.
 */
function encodeInside(value: string, offset: number, encoding: 'base64' | 'base64url'): string {
  const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(value)])
  const encoded = bytes.toString(encoding).replace(/=+$/, '')
  const fromOthers = bytes.length % 3 === 0 ? 0 : 1
  return encoded.slice(offset === 0 ? 0 : offset + 1, encoded.length - fromOthers)
}
