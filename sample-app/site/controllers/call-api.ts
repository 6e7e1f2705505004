import type { RequestHandler } from 'express'
import { type AskApi, apiPathOf } from '../api-client.js'

/** The API, called by the server, and by a script of the page. */
export function createCallApi(
  askApi: AskApi,
  apiUrl: string,
): Record<'showResponse' | 'showScriptPage', RequestHandler> {
  return {
    /** The server calls the API and makes a page of the response. */
    async showResponse(req, res) {
      res.render('call-api', { title: 'Call API from the server', page: 'call-api', response: await askApi(req) })
    },
    /** A page whose script asks for the response. */
    showScriptPage(req, res) {
      const api = { url: apiUrl, path: apiPathOf(req) }
      res.render('call-api-script', { title: 'Call API from a script', page: 'call-api-script', api })
    },
  }
}
