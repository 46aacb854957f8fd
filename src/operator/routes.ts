/**
 * The admin route: what stands before every resource (time, token, body limit, environment), and what answers where
 * none does. A resource is one file that adds its routes here.
 */

import { OpenAPIHono } from '@hono/zod-openapi'
import { controlDb } from '../db/control.ts'
import { Deadline } from '../lib/deadline.ts'
import { addAdmissionRoutes } from './admission.ts'
import { addArchiveHealthRoutes } from './archive-health.ts'
import { addArchiveObjectRoutes } from './archive-objects.ts'
import { addAddressRoutes } from './addresses.ts'
import { addAccelerationRoutes } from './acceleration.ts'
import { addAuditRoutes } from './audit.ts'
import { authenticate } from './authenticate.ts'
import { addBuiltInQueryRoutes } from './built-in-queries.ts'
import { addBrownoutRoutes } from './brownout.ts'
import { addCapacityPlanRoutes } from './capacity-plan.ts'
import { addBlockRoutes } from './blocks.ts'
import { addCarveRoutes } from './carves.ts'
import { addCloneRoutes } from './clones.ts'
import { addConfigurationRoutes } from './configuration.ts'
import { addConfigurationHolderRoutes } from './configuration-holders.ts'
import { addConfigurationLayerRoutes } from './configuration-layers.ts'
import { addConfigurationPlanRoutes } from './configuration-plan.ts'
import { addConfigurationVersionRoutes } from './configuration-versions.ts'
import type { OperatorHonoEnv, OperatorRoutes } from './context.ts'
import { addDuplicateRoutes } from './duplicates.ts'
import { addEnrollAttemptRoutes } from './enroll-attempts.ts'
import { addCostRuleRoutes } from './cost-rules.ts'
import { addCostRoutes } from './costs.ts'
import { addEnrollSecretRoutes } from './enroll-secrets.ts'
import { environmentScope } from './environment-scope.ts'
import { addEnvironmentKeyRoutes } from './environment-keys.ts'
import { addEnvironmentRoutes } from './environments.ts'
import { addErasureRoutes } from './erasures.ts'
import { addFlagfileRoutes } from './flagfile.ts'
import { replyToFailure } from './failure.ts'
import { addNodeCostRoutes } from './node-costs.ts'
import { addNodeQueryRoutes, MAX_WAIT_S } from './node-query.ts'
import { addIdentityRoutes } from './identity.ts'
import { addHeldBackRoutes } from './held-back.ts'
import { addInboxRoutes } from './inbox.ts'
import { addNodeConfigurationRoutes } from './node-configuration.ts'
import { addIntervalRoutes } from './intervals.ts'
import { addNodeRoutes } from './nodes.ts'
import { addLatestSnapshotRoutes } from './latest-snapshots.ts'
import { addLogVolumeRoutes } from './log-volume.ts'
import { addLogRoutes } from './logs.ts'
import { addOpenApiRoute } from './openapi.ts'
import { addNodeSetRoutes } from './node-sets.ts'
import { addTagRoutes } from './tags.ts'
import { addTailRoutes } from './tail.ts'
import { addTargetPreviewRoutes } from './target-preview.ts'
import { addOperatorTokenRoutes } from './operator-tokens.ts'
import { addQueryAnswerRoutes } from './query-answers.ts'
import { addQueryPauseRoutes } from './query-pauses.ts'
import { addQueryExportRoutes } from './query-exports.ts'
import { addQueryRoutes } from './queries.ts'
import { addQueryStragglerRoutes } from './query-stragglers.ts'
import { addQueryStreamRoutes } from './query-stream.ts'
import { notFound, unprocessable } from './problem.ts'
import { addQuarantineRoutes } from './quarantine.ts'
import { limitBody } from './request-body.ts'
import { faultsOf } from './request-faults.ts'
import { addRetentionRoutes } from './retention.ts'
import { addRolloutRoutes } from './rollouts.ts'
import { addSigningKeyRoutes } from './signing-keys.ts'
import { addSinkQuarantineRoutes } from './sink-quarantine.ts'
import { addSinkReplayRoutes } from './sink-replays.ts'
import { addSinkRoutes } from './sinks.ts'

/** A person waits; what has not answered by then is an outage. D1 gives a batch 30 s. */
const ANSWER_WITHIN_MS = 20_000

/** In the order of the OpenAPI document. */
const RESOURCES: readonly ((routes: OperatorRoutes) => void)[] = [
  addEnvironmentRoutes,
  addHeldBackRoutes,
  addEnvironmentKeyRoutes,
  addEnrollSecretRoutes,
  addIdentityRoutes,
  addCloneRoutes,
  addEnrollAttemptRoutes,
  addNodeRoutes,
  addAddressRoutes,
  addAdmissionRoutes,
  addBlockRoutes,
  addDuplicateRoutes,
  addNodeConfigurationRoutes,
  addNodeCostRoutes,
  addNodeQueryRoutes,
  addTagRoutes,
  addNodeSetRoutes,
  addConfigurationRoutes,
  addConfigurationLayerRoutes,
  addConfigurationPlanRoutes,
  addConfigurationVersionRoutes,
  addFlagfileRoutes,
  addBuiltInQueryRoutes,
  addCostRoutes,
  addQueryPauseRoutes,
  addCostRuleRoutes,
  addIntervalRoutes,
  addCapacityPlanRoutes,
  addBrownoutRoutes,
  addRolloutRoutes,
  addConfigurationHolderRoutes,
  addTargetPreviewRoutes,
  addQueryRoutes,
  addQueryAnswerRoutes,
  addQueryExportRoutes,
  addQueryStreamRoutes,
  addQueryStragglerRoutes,
  addAccelerationRoutes,
  addCarveRoutes,
  addLogRoutes,
  addTailRoutes,
  addLogVolumeRoutes,
  addLatestSnapshotRoutes,
  addErasureRoutes,
  addArchiveHealthRoutes,
  addArchiveObjectRoutes,
  addRetentionRoutes,
  addQuarantineRoutes,
  addInboxRoutes,
  addSinkRoutes,
  addSinkReplayRoutes,
  addSinkQuarantineRoutes,
  addSigningKeyRoutes,
  addOperatorTokenRoutes,
  addAuditRoutes,
  addOpenApiRoute,
]

/** Mounted at /api/v1, behind the agent routes. */
export function createOperatorRoutes(): OperatorRoutes {
  const routes: OperatorRoutes = new OpenAPIHono<OperatorHonoEnv>({
    defaultHook: (result) =>
      result.success ? undefined : unprocessable(...faultsOf(result.target, result.error)),
  })
  routes.onError(replyToFailure)
  routes.use(async (c, next) => {
    c.set('nowMs', Date.now())
    c.set('db', controlDb(c.env.DB))
    const waitMs = c.req.path.endsWith('/query') ? MAX_WAIT_S * 1_000 : 0
    await new Deadline(ANSWER_WITHIN_MS + waitMs, c.var.nowMs).run(next())
    if (!c.res.headers.has('cache-control')) c.res.headers.set('cache-control', 'no-store')
  })
  routes.use(authenticate)
  routes.use(limitBody)
  routes.use('/environments/:env/*', environmentScope)
  for (const add of RESOURCES) add(routes)
  routes.all('*', () => notFound('path'))
  return routes
}
