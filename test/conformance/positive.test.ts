import { positiveModules } from './positive-modules.js'
import { register } from './suite.js'

register(positiveModules)
