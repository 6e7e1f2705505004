import type { PageTexts } from '../http/languages/en.js'
import { buildPage, escapeHtml } from '../http/page.js'
import type { KeptFormPageContent } from '../options/pages.js'
import type { KeptField } from '../protocol/multipart.js'

/** Words in the name of a field whose value others in the room must not read, or that is of no interest to a reader. */
const SECRET =
  /^(?:pass(?:word|wd|phrase|code|e)?|passwort|kennwort|contrase(?:ñ|n)a|clave|pwd|pin|otp|totp|cvc|cvv|secret|token|csrf|xsrf)\d*$/

/** `newPassword`, `user[pin]` and `_csrf`, and not `shipping`. */
function isSecret(name: string): boolean {
  const words = name.replace(/(\p{Ll})(\p{Lu})/gu, '$1 $2').toLowerCase()
  return words.split(/[^\p{L}\p{N}]+/u).some(word => SECRET.test(word))
}

/** What a page says about the fields of a form. */
export function describeFields(
  fields: readonly KeptField[],
  { emptyField, maskedField }: Pick<PageTexts, 'emptyField' | 'maskedField'>,
): KeptFormPageContent['fields'] {
  return fields.map(([name, value]) => {
    if (value === null || value === '') return { name, text: emptyField }
    return { name, text: isSecret(name) ? maskedField : value }
  })
}

/** The fields as they are sent. A file input in which no file was chosen is sent as one, so that a parser of files sees the same form. */
export function buildInputs(fields: readonly KeptField[]): string {
  return fields
    .map(([name, value]) =>
      value === null
        ? `<input type="file" name="${escapeHtml(name)}" hidden>`
        : `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`,
    )
    .join('\n')
}

export function buildKeptFormPage({
  language,
  title,
  message,
  address,
  fields,
  form,
  link,
}: KeptFormPageContent): string {
  const list = fields.map(
    ({ name, text }) => `<dt><bdi>${escapeHtml(name)}</bdi></dt>\n<dd dir="auto">${escapeHtml(text)}</dd>`,
  )
  const body = `<p>${escapeHtml(message)}</p>
<p><code>${escapeHtml(address)}</code></p>
<dl>
${list.join('\n')}
</dl>
<form method="post" action="${escapeHtml(form.action)}" enctype="${escapeHtml(form.encoding)}">
${form.inputs}
<button type="submit">${escapeHtml(form.button)}</button>
<a href="${escapeHtml(link.href)}">${escapeHtml(link.text)}</a>
</form>`
  return buildPage({ language, title, body })
}
