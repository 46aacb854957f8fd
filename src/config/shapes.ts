/** Checks of shapes, small enough to be put together. Each refuses what is not of its shape, at its place. */

import { isObject } from '../lib/json-value.ts'
import type { Place } from './report.ts'

export type Check = (value: unknown, place: Place) => void

export const aText: Check = (value, place) => {
  if (typeof value !== 'string') place.refuse('must be a text')
}

export const aTextNotBlank: Check = (value, place) => {
  if (typeof value !== 'string' || value.trim() === '') place.refuse('must be a text that is not blank')
}

export const anInteger: Check = (value, place) => {
  if (!place.isInteger(value)) place.refuse('must be an integer')
}

/** What a parser takes at all (spec 3.1, step 4). */
export const anObjectOrArray: Check = (value, place) => {
  if (typeof value !== 'object' || value === null) place.refuse('must be an object or a list')
}

export function listOf(item: Check): Check {
  return (value, place) => {
    if (!Array.isArray(value)) return place.refuse('must be a list')
    for (const [index, each] of value.entries()) item(each, place.at(index))
  }
}

/** An object with any names. */
export function mapOf(member: Check): Check {
  return (value, place) => {
    if (!isObject(value)) return place.refuse('must be an object')
    for (const [name, each] of Object.entries(value)) member(each, place.at(name))
  }
}

/** An object with these members, none of them required unless listed; others are warned of. */
export function objectOf(members: Readonly<Record<string, Check>>, required: readonly string[] = []): Check {
  return (value, place) => {
    if (!isObject(value)) return place.refuse('must be an object')
    for (const name of required) if (!Object.hasOwn(value, name)) place.refuse(`must have ${name}`)
    for (const [name, each] of Object.entries(value)) {
      if (Object.hasOwn(members, name)) members[name]?.(each, place.at(name))
      else place.at(name).warn('is not known; agents ignore it')
    }
  }
}
