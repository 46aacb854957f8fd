/** Where a request came from. */

/**
 * The address of the client, as Cloudflare's edge sets it on each request, whatever the client sent; the guard hands it on
 * with the request. Null where nothing set it. `X-Forwarded-For` is never looked at: a client writes into it what it likes.
 * Locally it is set by wrangler, and there only where the client did not.
 */
export function sourceAddressOf(request: Request): string | null {
  return request.headers.get('cf-connecting-ip')
}
