/** What a deployment needs and wrangler cannot set. Printed after each deployment, so that nobody has to remember it. */

import type { DeployOptions } from './options.ts'

export function checklist({ deployment, agentHostname, operatorHostname }: DeployOptions): string {
  const operators =
    operatorHostname ?? '(OPERATOR_HOSTNAME is not set: operators cannot reach the admin route)'
  return `
What wrangler cannot set - check once, and after each change of the zone:

  [ ] Workers Paid plan. Beyond the Free plan's daily limit Cloudflare answers for the Worker, in JSON, and osqueryd
      takes that for success: it drops the log lines it has just sent, and its schedule.
  [ ] Agents: ${agentHostname}, a hostname of its own, without WAF rules, bot fight mode, challenges or Access.
      Rate limiting rules only with a text/plain response.
  [ ] Agents: a Custom Error Rule in that zone: when the hostname is ${agentHostname} and the response status is
      400 or more, serve the text/plain content  retry
  [ ] Operators: ${operators}. Put Cloudflare Access before this hostname, and only before this one.
  [ ] The key that signs node keys, once and BEFORE the first deployment. It is kept in .local/signing-keys.${deployment}:
      copy that to a safe place, without it all agents must enroll anew.
        npm run keys -- init --env ${deployment}
  [ ] The first operator token (shown once):
        npm run operator-token -- --name alice --env ${deployment}
`
}
