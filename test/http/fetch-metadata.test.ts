import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { describe, test } from 'node:test'
import { isFrame, isNavigation, isPlainClient, isSubmittedForm, prefersHtml } from '../../lib/http/fetch-metadata.js'

const html = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
const navigate = { 'sec-fetch-mode': 'navigate', accept: html }

type Kind = 'page' | 'frame' | 'script' | 'plain client'

/** What each client sends, as it was seen on the wire, and what it has to be taken for. */
const rows: readonly (readonly [client: string, headers: Record<string, string>, kind: Kind, method?: string])[] = [
  ['a link in a page', { ...navigate, 'sec-fetch-dest': 'document', 'sec-fetch-site': 'same-origin' }, 'page'],
  ['a posted form', { ...navigate, 'sec-fetch-dest': 'document' }, 'page', 'POST'],
  ['a page that a service worker fetches', { ...navigate, 'sec-fetch-dest': 'empty' }, 'page'],
  ['a form that a service worker fetches', { ...navigate, 'sec-fetch-dest': 'empty' }, 'page', 'POST'],
  ['a HEAD under a service worker', { ...navigate, 'sec-fetch-dest': 'empty' }, 'script', 'HEAD'],
  ['an object that a service worker fetches', { ...navigate, 'sec-fetch-dest': 'object' }, 'frame'],
  ['a frame', { ...navigate, 'sec-fetch-dest': 'iframe' }, 'frame'],
  ['a service worker for JSON', { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'empty', accept: '*/*' }, 'script'],
  ["a script's fetch", { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty', accept: '*/*' }, 'script'],
  ["a script's fetch of HTML", { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty', accept: html }, 'script'],
  [
    'a same-origin fetch of HTML',
    { 'sec-fetch-mode': 'same-origin', 'sec-fetch-dest': 'empty', accept: html },
    'script',
  ],
  ['a WebView', { accept: html, 'x-requested-with': 'com.example.app' }, 'page'],
  ['a WebView of another app', { accept: html, 'x-requested-with': 'org.telegram.messenger.web' }, 'page'],
  ['a WebView with Fetch Metadata', { ...navigate, 'sec-fetch-dest': 'document', 'x-requested-with': 'a.b' }, 'page'],
  ['a form in a WebView', { accept: html, 'x-requested-with': 'com.example.app' }, 'page', 'POST'],
  ['an image in a WebView', { accept: 'image/*', 'x-requested-with': 'com.example.app' }, 'script'],
  ['an empty X-Requested-With', { accept: html, 'x-requested-with': '' }, 'page'],
  ['jQuery', { accept: 'application/json, */*', 'x-requested-with': 'XMLHttpRequest' }, 'script'],
  ['a script that asks for HTML', { accept: html, 'x-requested-with': 'XMLHttpRequest' }, 'script'],
  ['the same in small letters', { accept: html, 'x-requested-with': 'xmlhttprequest' }, 'script'],
  ['an old browser', { accept: html }, 'page'],
  ['curl', { accept: '*/*' }, 'plain client'],
  ['a program without Accept', {}, 'plain client'],
  ['a program that posts', { accept: '*/*' }, 'script', 'POST'],
]

describe('what a request is taken for', () => {
  for (const [client, headers, kind, method = 'GET'] of rows) {
    test(`${client}: ${kind}`, () => {
      const req = { method, headers } as unknown as IncomingMessage
      const found = { page: isNavigation(req), frame: isFrame(req), plain: isPlainClient(req) }
      assert.deepEqual(found, { page: kind === 'page', frame: kind === 'frame', plain: kind === 'plain client' })
      if (kind === 'page' || kind === 'frame') assert.equal(prefersHtml(req), true, 'errors are pages')
    })
  }
})

describe('what is taken for a submitted form, to which a page responds in place of a redirect', () => {
  const navigation = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
  for (const [client, request, expected] of [
    ['a form', { method: 'POST', headers: navigation }, true],
    ['a form that a service worker fetches', { headers: { ...navigation, 'sec-fetch-dest': 'empty' } }, true],
    ['a form of which `method-override` makes a DELETE', { method: 'DELETE', originalMethod: 'POST' }, true],
    ['a link', { method: 'GET' }, false],
    ['a form in a frame', { headers: { ...navigation, 'sec-fetch-dest': 'iframe' } }, false],
    ["a script's fetch", { headers: { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty', accept: html } }, false],
    ['a program that accepts pages', { headers: { accept: html } }, false],
  ] as const) {
    test(`${client}: ${expected}`, () => {
      const req = { method: 'POST', headers: navigation, ...request } as unknown as IncomingMessage
      assert.equal(isSubmittedForm(req), expected)
    })
  }
})
