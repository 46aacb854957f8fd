/**
 * Signs what we send: by Standard Webhooks (standardwebhooks.com: `webhook-id`, `webhook-timestamp`,
 * `webhook-signature`) and, for receivers that know only that, by `x-hub-signature-256` over the body alone.
 */

import { bytesOfBase64, concatBytes, hexOf, utf8, type Bytes } from './bytes.ts'

/** The headers that a body of this id is sent with. The key is `whsec_<base64>`, or any text. */
export async function signatureHeaders(
  keyText: string,
  id: string,
  nowMs: number,
  body: Bytes,
): Promise<Record<string, string>> {
  const timestamp = String(Math.floor(nowMs / 1_000))
  const key = await importKey(keyText)
  const signed = await hmac(key, concatBytes([utf8(`${id}.${timestamp}.`), body]))
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${btoa(String.fromCharCode(...signed))}`,
    'x-hub-signature-256': `sha256=${hexOf(await hmac(key, body))}`,
  }
}

/** The bytes of `whsec_<base64>`, else the text's own. */
async function importKey(text: string): Promise<CryptoKey> {
  const encoded = /^whsec_(.+)$/.exec(text)?.[1]
  const bytes = (encoded === undefined ? null : bytesOfBase64(encoded)) ?? utf8(text)
  return crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
}

async function hmac(key: CryptoKey, bytes: Bytes): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.sign('HMAC', key, bytes))
}
