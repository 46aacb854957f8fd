/** Bytes that an agent sent, as a download: never shown by a browser, since they may be anything. */

export function contentReply(content: ReadableStream, bytes: number, name: string): Response {
  return new Response(content, {
    headers: {
      'content-type': 'application/octet-stream',
      'content-disposition': `attachment; filename="${name}"`,
      'content-length': String(bytes),
      'x-content-type-options': 'nosniff',
    },
  })
}
