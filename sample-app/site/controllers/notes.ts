import type { RequestHandler } from 'express'
import { userOf } from '../provide-user.js'

export interface NotesController {
  readonly show: RequestHandler
  readonly add: RequestHandler
  readonly expire: RequestHandler
}

const LONGEST_NOTE = 10_000
const MOST_NOTES = 20

/** A page with a form, in which a user may write for longer than the session lives. The notes are in the memory of this process. */
export function createNotes(): NotesController {
  const notes = new Map<string, readonly string[]>()
  return {
    show(req, res) {
      res.render('notes', { title: 'Notes', page: 'notes', notes: notes.get(keyOf(req)) ?? [] })
    },
    add(req, res) {
      const { text } = req.body as { text?: unknown }
      const key = keyOf(req)
      if (typeof text === 'string' && text !== '')
        notes.set(key, [text.slice(0, LONGEST_NOTE), ...(notes.get(key) ?? [])].slice(0, MOST_NOTES))
      res.redirect(303, '/notes')
    },
    expire(req, res) {
      // As if its time were over: the session ends in a second.
      req.session.cookie.maxAge = 1000
      res.render('notes-expired', { title: 'Your session expires', page: 'notes' })
    },
  }
}

/** Whose notes they are. */
function keyOf(req: Parameters<RequestHandler>[0]): string {
  const { provider, sub } = userOf(req)
  return JSON.stringify([provider, sub])
}
