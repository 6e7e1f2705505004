import { discoveryAndKeyModules } from './discovery-and-key-modules.js'
import { register } from './suite.js'

register(discoveryAndKeyModules)
