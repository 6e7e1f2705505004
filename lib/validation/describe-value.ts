import { types } from 'node:util'

const LONGEST_VALUE = 60

/** What was found, for an error message. Never throws, whatever the value is, and never shows a secret. */
export function describeValue(value: unknown, secret = false): string {
  switch (typeof value) {
    case 'undefined':
      return 'undefined'
    case 'string':
      return describeString(value, secret)
    case 'number':
      return secret ? 'a number' : `the number ${value}`
    case 'bigint':
      return secret ? 'a bigint' : `the bigint ${String(value).slice(0, LONGEST_VALUE)}n`
    case 'boolean':
      return String(value)
    case 'symbol':
      return 'a symbol'
    case 'function':
      return describeFunction(value)
    default:
      return value === null ? 'null' : describeObject(Object(value))
  }
}

function describeString(text: string, secret: boolean): string {
  if (text === '') return 'an empty string'
  // An address may hold a password.
  const isPrintable = !secret && !(text.includes('@') && text.includes(':'))
  if (!isPrintable) return `a string of ${text.length} characters`
  return JSON.stringify(text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text)
}

function describeFunction(value: unknown): string {
  if (isClass(value)) return 'a class'
  return types.isAsyncFunction(value) ? 'an async function' : 'a function'
}

function describeObject(value: object): string {
  try {
    if (Array.isArray(value)) return 'an array'
    const kind = kindOf(value)
    if (kind === 'Object') return 'an object'
    return `${/^[AEIOU]/.test(kind) ? 'an' : 'a'} ${kind}`
  } catch {
    return 'an object that cannot be read'
  }
}

/** `Object`, or the name of a built-in kind such as `Date`, `Map` or `Promise`. A proxy may throw. */
export function kindOf(value: object): string {
  return Object.prototype.toString.call(value).slice('[object '.length, -1)
}

/** Whether a function is a class, which cannot be called. */
export function isClass(value: unknown): boolean {
  return (
    typeof value === 'function' && !types.isProxy(value) && /^class\b/.test(Function.prototype.toString.call(value))
  )
}
