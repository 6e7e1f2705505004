import { idTokenModules } from './id-token-modules.js'
import { register } from './suite.js'

register(idTokenModules)
