import type { RequestHandler } from 'express'
import type { AskApi } from '../api-client.js'

/** The API, called in two ways. In both, the access token stays on the server. */
export function createCallApi(askApi: AskApi): Record<'showAnswer' | 'showScriptPage' | 'sendAnswer', RequestHandler> {
  return {
    /** The server calls the API and makes a page of the answer. */
    async showAnswer(req, res) {
      res.render('call-api', { title: 'Call API from the server', page: 'call-api', answer: await askApi(req) })
    },
    /** A page whose script asks for the answer. */
    showScriptPage(_req, res) {
      res.render('call-api-script', { title: 'Call API from a script', page: 'call-api-script' })
    },
    /** What that script gets: the site's cookie says who asks, the site adds the token and passes the answer on. */
    async sendAnswer(req, res) {
      const { status, body } = await askApi(req)
      res.status(status).json(body)
    },
  }
}
