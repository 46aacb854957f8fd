/** What the findings come to: one verdict for each invariant, with numbers. */
import type { AnswerFindings } from './verify-answers.ts'
import type { CarveFindings } from './verify-carves.ts'
import type { LineFindings } from './verify-lines.ts'
import type { RawFindings } from './verify-raw.ts'

/** One invariant. */
export interface Verdict {
  readonly name: string
  readonly isOk: boolean
  readonly detail: string
}

export function verdict(name: string, faults: number, detail: string, more: readonly string[] = []): Verdict {
  return { name, isOk: faults === 0, detail: [detail, ...(faults === 0 ? [] : more)].join('; ') }
}

export function lineVerdicts(findings: LineFindings): Verdict[] {
  const { due, missing, missingByMachine, outOfOrder, read, sightings } = findings
  const whose = missingByMachine.map(([machine, lines]) => `${lines} of machine ${machine}`)
  return [
    verdict('every acknowledged line is there', missing, `${due} due, ${missing} missing`, whose),
    verdict('every line is there once', sightings.doubled, `${read} read, ${sightings.doubled} doubled`),
    verdict('no line is unexplained', sightings.unexplained, `${sightings.unexplained} that nobody sent`),
    verdict(
      'every line is its node’s',
      sightings['wrong-node'],
      `${sightings['wrong-node']} under another node`,
    ),
    verdict('lines come newest first', outOfOrder, `${outOfOrder} out of order`),
  ]
}

/** `shown`: what the reader gave, whose events must be those of the objects. */
export function rawVerdicts(raw: RawFindings, shown: LineFindings): Verdict[] {
  const { due, eventIds, gone, lines, misindexed, missing, objects, unexplained, wrongNode } = raw
  const [hidden, invented] = [eventIds.missingIn(shown.eventIds), shown.eventIds.missingIn(eventIds)]
  return [
    verdict('every acknowledged line is in raw', missing, `${due} due, ${missing} missing`),
    verdict(
      'no line in raw is unexplained',
      unexplained + wrongNode,
      `${lines} lines in ${objects} objects, ${unexplained} that nobody sent, ${wrongNode} under another node`,
    ),
    verdict(
      'no event is unexplained',
      hidden + invented,
      `${eventIds.size} in raw, ${hidden} not shown, ${invented} shown and not in raw`,
    ),
    verdict(
      'raw is what its index says',
      misindexed + gone,
      `${misindexed} objects are not, ${gone} are gone`,
    ),
  ]
}

export function answerVerdicts(found: readonly AnswerFindings[]): Verdict[] {
  const sum = (name: keyof AnswerFindings) => found.reduce((total, each) => total + each[name], 0)
  const [missing, wrong] = [sum('missing'), sum('changed')]
  return [
    verdict(
      'every accepted answer is there',
      missing,
      `${found.length} queries, ${sum('accepted')} accepted, ${missing} missing`,
    ),
    verdict('every answer is what was sent', wrong, `${sum('answers')} read, ${wrong} changed`),
    verdict('every answer is there once', sum('doubled'), `${sum('doubled')} doubled`),
    verdict('no answer is unexplained', sum('unexplained'), `${sum('unexplained')} that nobody sent`),
    verdict('every online agent answers', sum('silent'), `${sum('silent')} silent`),
    verdict('queries count their answers right', sum('miscounted'), `off by ${sum('miscounted')}`),
  ]
}

export function carveVerdicts(found: CarveFindings): Verdict[] {
  const { asked, changed, handedIn, missing, refused, silent, unexplained } = found
  return [
    verdict(
      'every file that was handed in is there',
      missing + refused + silent,
      `${asked} asked for, ${handedIn} handed in, ${missing} missing, ${refused} refused, ${silent} machines silent`,
    ),
    verdict(
      'every file is what was handed in',
      changed + unexplained,
      `${changed} with another SHA-256, ${unexplained} of nobody`,
    ),
  ]
}
