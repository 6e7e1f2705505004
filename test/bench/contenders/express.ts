import express from 'express'
import { CART, type CreateContender, describePerson } from '../contender.js'

/** No user is signed in and nothing is read: the cost of Express itself. */
export const createExpress: CreateContender = () => {
  const person = { sub: 'person-1', name: 'Person Number 1', email: 'person-1@example.com' }
  const app = express()
  app.get('/page', (_req, res) => void res.json(describePerson(person)))
  app.get('/cart', (_req, res) => void res.json({ ...describePerson(person), items: CART.items.length }))
  app.get('/open', (_req, res) => void res.json({ open: true }))
  return app
}
