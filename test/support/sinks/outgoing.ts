/**
 * The test harness sends the Worker's own requests on by this process's fetch, which follows redirects although the
 * Worker said not to (the flag is lost between them). Import this where a test's destination redirects.
 */

const real = globalThis.fetch

globalThis.fetch = (input, init) => {
  // Only the harness gives a Request as the second argument.
  const isHarness = typeof input === 'string' && init !== undefined && 'url' in init
  if (!isHarness) return real(input, init)
  const { method, headers, body, signal } = init
  const whole = {
    method,
    headers,
    body: body ?? null,
    signal: signal ?? null,
    duplex: 'half',
    redirect: 'manual',
  }
  return real(input, whole as RequestInit)
}
