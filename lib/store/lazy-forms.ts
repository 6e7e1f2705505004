import type { KeptForms, KeptFormsSettings } from './kept-forms.js'

/** {@link KeptForms} of a site that may never keep a form: what it takes is loaded with the first one. */
export function createLazyForms(settings: KeptFormsSettings): () => Promise<KeptForms> {
  let loading: Promise<KeptForms> | undefined
  return () => {
    loading ??= import('./kept-forms.js').then(({ createKeptForms }) => createKeptForms(settings))
    return loading
  }
}
