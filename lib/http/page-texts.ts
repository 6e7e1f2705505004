import { type OidcError, SENTENCES, type SentenceName } from '../errors.js'
import type { Config } from '../options/config.js'
import type { PageLanguage } from '../options/pages.js'
import { chooseLanguage } from '../protocol/accept-language.js'
import { en, type PageTexts } from './languages/en.js'
import { addVary, type HttpRequest, type HttpResponse } from './node-http.js'

/** A language is loaded with the first page that is shown in it. */
const LOADERS: Readonly<Record<PageLanguage, () => PageTexts | Promise<PageTexts>>> = {
  en: () => en,
  de: async () => (await import('./languages/de.js')).de,
  fr: async () => (await import('./languages/fr.js')).fr,
  es: async () => (await import('./languages/es.js')).es,
  ja: async () => (await import('./languages/ja.js')).ja,
}

/**
 * The texts of a page for this request, in the language of the site that the browser prefers; the response says which that is. A page in a
 * language that cannot be loaded is English.
 *
 * @see RFC 9110 sections 8.5, 12.5.4 and 12.5.5
 */
export async function pageTextsFor(
  { pages }: Pick<Config, 'pages'>,
  req: HttpRequest,
  res: HttpResponse,
): Promise<PageTexts> {
  const { languages } = pages
  const texts = await Promise.resolve()
    .then(() => LOADERS[chooseLanguage(req.headers['accept-language'], languages)]())
    .catch(() => en)
  res.setHeader('Content-Language', texts.language)
  if (languages.length > 1) addVary(res, 'Accept-Language')
  return texts
}

/** What an error page says. The sentences that only a provider gets have no other language. */
export function sentenceOf({ sentence }: Pick<OidcError, 'sentence'>, { sentences }: PageTexts): string {
  const [name] = Object.entries(SENTENCES).find(([, text]) => text === sentence) ?? []
  return name === undefined ? sentence : sentences[name as SentenceName]
}
