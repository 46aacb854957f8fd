/** From a pointer into the whole version, as its checks give it, to the file and line where that is written. Pure. */

import { pointerOf, stepsOf } from '../../lib/json-pointer.ts'
import type { LayerFile } from './layer.ts'
import type { Source, SourcePlace } from './source.ts'

interface Sources {
  base: Source
  packs: ReadonlyMap<string, Source>
  layers: readonly LayerFile[]
  intervals: Source | null
}

/**
 * `/packs/x/…` is in x's file, `/layers/linux+canary/…` in the last of these layers that says something there. What no
 * file says is where the nearest thing around it is.
 */
export function whereIs(pointer: string, { base, packs, layers, intervals }: Sources): SourcePlace {
  const [first, second, ...rest] = stepsOf(pointer)
  if (first === 'intervals' && intervals !== null) return nearest(intervals, stepsOf(pointer).slice(1))
  if (first !== 'layers' || second === undefined) return inDocument(pointer, base, packs)
  const named = layersNamed(second, layers)
  const below = pointerOf(rest)
  for (const { source } of named.toReversed()) {
    // The server names a layer by its number where its members are wrong, and its document's members directly.
    for (const at of [`/document${below}`, below]) {
      const place = source.place(at)
      if (place.line !== null && below !== '') return place
    }
  }
  if (below !== '' && named.length > 0) return inDocument(below, base, packs)
  return named.at(-1)?.source.place('') ?? base.place('')
}

function layersNamed(text: string, layers: readonly LayerFile[]): LayerFile[] {
  const names = new Set(text.split('+'))
  const named = layers.filter(({ layer }) => names.has(layer.name))
  const byNumber = /^\d+$/.test(text) ? layers[Number(text)] : undefined
  return named.length === 0 && byNumber !== undefined ? [byNumber] : named
}

function inDocument(pointer: string, base: Source, packs: ReadonlyMap<string, Source>): SourcePlace {
  const steps = stepsOf(pointer)
  const pack = steps[0] === 'packs' && steps[1] !== undefined ? packs.get(steps[1]) : undefined
  return pack === undefined ? nearest(base, steps) : nearest(pack, steps.slice(2))
}

function nearest(source: Source, steps: readonly string[]): SourcePlace {
  const exact = source.place(pointerOf(steps))
  for (let length = steps.length; exact.line === null && length >= 0; length -= 1) {
    const { file, line } = source.place(pointerOf(steps.slice(0, length)))
    if (line !== null) return { ...exact, file, line }
  }
  return exact
}
