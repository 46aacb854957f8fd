/**
 * For tests of pure modules on Node: gives WebCrypto the one function of workerd that Node keeps elsewhere. Node's
 * own has the same contract - constant time, and it throws where the lengths differ.
 */

import { timingSafeEqual } from 'node:crypto'

Object.assign(crypto.subtle, { timingSafeEqual })
