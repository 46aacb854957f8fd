/** /environments/{env}/identity: what tells machines apart, and what is done with clones. */

import { createRoute, z } from '@hono/zod-openapi'
import { highestOrdinal } from '../db/environments.ts'
import { previewPolicy, updateIdentityPolicy } from '../db/identity-policies.ts'
import { CLONE_POLICIES } from '../fleet/clones.ts'
import {
  BUILT_IN_SERIALS,
  BUILT_IN_UUIDS,
  IDENTITY_KINDS,
  MAX_PLACEHOLDER_CHARACTERS,
  MAX_PLACEHOLDERS,
  policyOf,
  storedPolicyOf,
  type IdentityPolicy,
  type StoredIdentityPolicy,
} from '../fleet/identity-policy.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, jsonBody, published, replies } from './describe.ts'
import { publishDirectory } from './publish.ts'

const PATH = '/environments/{env}/identity'

const order = z
  .array(z.enum(IDENTITY_KINDS, `is none of ${IDENTITY_KINDS.join(', ')}`))
  .min(1, 'names nothing')
  .refine((kinds) => new Set(kinds).size === kinds.length, 'names one twice')
  .openapi({
    description: 'The first that a host tells names it; those that are left out follow in the usual order',
  })
const placeholder = z
  .string()
  .trim()
  .toLowerCase()
  .min(1, 'is empty')
  .max(MAX_PLACEHOLDER_CHARACTERS, `is longer than ${MAX_PLACEHOLDER_CHARACTERS} characters`)
const placeholders = z
  .array(placeholder)
  .max(MAX_PLACEHOLDERS, `are more than ${MAX_PLACEHOLDERS}`)
  .transform((texts) => [...new Set(texts)].toSorted())
const clones = z.enum(CLONE_POLICIES, `is none of ${CLONE_POLICIES.join(', ')}`)
const identityBody = z.strictObject({
  order: order.optional(),
  placeholderUuids: placeholders.optional(),
  placeholderSerials: placeholders.optional(),
  clones: clones.optional(),
})

const texts = z.array(z.string())
const identitySchema = z
  .object({
    order: z.array(z.enum(IDENTITY_KINDS)),
    placeholderUuids: texts.openapi({ description: 'Beside those that every environment has' }),
    placeholderSerials: texts,
    builtIn: z.object({ placeholderUuids: texts, placeholderSerials: texts }),
    clones: clones.openapi({
      description: 'split: each machine gets a node of its own; flag: operators are told',
    }),
    pendingNodes: z
      .boolean()
      .openapi({ description: 'Whether nodes still have to get their identity under it' }),
  })
  .openapi('Identity')
const previewSchema = z
  .object({
    nodes: z.int(),
    renamed: z.int().openapi({ description: 'Nodes that are called otherwise then' }),
    sharedIdentities: z.int().openapi({ description: 'Identities that more than one node has then' }),
    sharingNodes: z.int().openapi({
      description:
        'Those nodes. They stay as long as they have keys; who enrolls is the one that enrolled last',
    }),
    examples: z.array(z.object({ identity: z.string(), nodes: z.int(), hostnames: texts })),
  })
  .openapi('IdentityPreview')

export function addIdentityRoutes(routes: OperatorRoutes): void {
  const request = { params: inEnvironment, body: jsonBody(identityBody) }
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: { params: inEnvironment },
      responses: replies(200, 'What tells machines apart', identitySchema),
    }),
    (c) => c.json(shown(presentOf(c), c.var.environment)),
  )
  routes.openapi(
    createRoute({
      method: 'post',
      path: `${PATH}/preview`,
      description: 'What a change would come to. It reads the row of every node; nothing is changed.',
      request,
      responses: replies(200, 'How many nodes share an identity then', previewSchema),
    }),
    async (c) => c.json(await preview(c, changedBy(c, c.req.valid('json')))),
  )
  routes.openapi(
    createRoute({
      method: 'patch',
      path: PATH,
      description:
        'Members that are not named stay. Nodes keep their ids, keys, tags and history: each is called by what it told ' +
        'when it enrolled last, and found by that when it enrolls again.',
      request,
      responses: replies(200, 'Set', identitySchema.extend({ ...published, preview: previewSchema })),
    }),
    async (c) => change(c, c.req.valid('json')),
  )
}

function presentOf(c: OperatorContext): IdentityPolicy {
  return policyOf(JSON.parse(c.var.environment.identityPolicy) as StoredIdentityPolicy)
}

function changedBy(c: OperatorContext, { clones: _clones, ...named }: z.infer<typeof identityBody>) {
  const wanted = Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined))
  return policyOf({ ...presentOf(c), ...wanted })
}

async function preview(c: OperatorContext, policy: IdentityPolicy) {
  const { identities, sharing, ...rest } = await previewPolicy(c.var.db, c.var.environment.id, policy)
  return { ...rest, sharedIdentities: identities, sharingNodes: sharing }
}

async function change(c: OperatorContext, body: z.infer<typeof identityBody>): Promise<Response> {
  const { environment, db } = c.var
  const policy = changedBy(c, body)
  const clonePolicy = body.clones ?? environment.clones
  const comesTo = await preview(c, policy)
  const detail = { policy: storedPolicyOf(policy), clones: clonePolicy, sharingNodes: comesTo.sharingNodes }
  const note = environmentChangeNote(c, 'identity.set', environment.id, detail)
  const highest = await highestOrdinal(db, environment.id)
  const wanted = { policy, clones: clonePolicy }
  const { revision, rekeyFrom } = await updateIdentityPolicy(db, note, environment.id, wanted, highest)
  const live = await publishDirectory(c.env, revision)
  return c.json({ ...shown(policy, { clones: clonePolicy, rekeyFrom }), preview: comesTo, revision, live })
}

function shown(
  policy: IdentityPolicy,
  { clones: clonePolicy, rekeyFrom }: Pick<OperatorContext['var']['environment'], 'clones' | 'rekeyFrom'>,
) {
  return {
    ...policy,
    builtIn: {
      placeholderUuids: BUILT_IN_UUIDS,
      placeholderSerials: BUILT_IN_SERIALS.filter((serial) => serial !== ''),
    },
    clones: clonePolicy,
    pendingNodes: rekeyFrom !== null,
  }
}
