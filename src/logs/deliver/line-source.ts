/** Where a sink's lines come from: what the archive has newly, what it had once, or what was put aside. */

import type { ArchivedLine } from '../line.ts'
import type { Place } from './place.ts'

/** A line that the sink wants, or (null) a stretch in which there was none. */
export interface SourceStep {
  line: ArchivedLine | null
  /** To go on after this step. */
  after: Place
}

export interface LineSource {
  /** Everything after a place, in order. Ends where there is no more for now. Throws where the archive fails. */
  stepsAfter(place: Place): AsyncGenerator<SourceStep>
}
