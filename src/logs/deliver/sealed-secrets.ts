/**
 * A sink's secrets as they are stored: AES-256-GCM under a key that is derived from a signing key of the deployment
 * (NIST SP 800-108 in counter mode, HMAC-SHA-256), bound to the sink's id. D1 alone - a backup, an export - opens none.
 * The key's id is kept in front: after a rotation both keys open, and what an old one sealed is sealed again under the
 * current one when its sink next reads its definition. Text: `oes1.<key id>.<nonce>.<sealed>`, base64url.
 */

import { loadSigningKeys, type SigningKeys } from '../../agent/signing-keys.ts'
import { base64UrlOf, bytesOfBase64Url, concatBytes, textOf, utf8, type Bytes } from '../../lib/bytes.ts'
import type { Json } from '../sinks/sink-kind.ts'

const FORMAT = 'oes1'
const LABEL = 'osquery-edge/sink-secrets/1'
/** Of AES-GCM (NIST SP 800-38D section 8.2.2: random nonces of 96 bits). */
const NONCE_BYTES = 12

/** The secrets cannot be opened. The message is for operators. */
export class SecretsUnreadable extends Error {
  override readonly name = 'SecretsUnreadable'
}

/** Throws SigningKeysUnusable where the deployment has no keys. */
export async function sealSecrets(signingKeys: string, sinkId: string, secrets: Json): Promise<string> {
  const keys = await loadSigningKeys(signingKeys)
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES))
  const algorithm = { name: 'AES-GCM', iv: nonce, additionalData: utf8(sinkId) }
  const key = await deriveKey(keys, keys.currentKeyId)
  const sealed = await crypto.subtle.encrypt(algorithm, key, utf8(JSON.stringify(secrets)))
  return [FORMAT, keys.currentKeyId, base64UrlOf(nonce), base64UrlOf(new Uint8Array(sealed))].join('.')
}

/** Throws SecretsUnreadable: of another format, sealed under a key that is gone, or changed. */
export async function openSecrets(signingKeys: string, sinkId: string, text: string): Promise<Json> {
  const [format, keyId, nonceText = '', sealedText = ''] = text.split('.')
  const [nonce, sealed] = [bytesOfBase64Url(nonceText), bytesOfBase64Url(sealedText)]
  if (format !== FORMAT || nonce === null || sealed === null) {
    throw new SecretsUnreadable('the secrets are of a format that this version does not know')
  }
  const key = await deriveKey(await loadSigningKeys(signingKeys), Number(keyId))
  try {
    const algorithm = { name: 'AES-GCM', iv: nonce, additionalData: utf8(sinkId) }
    const opened = await crypto.subtle.decrypt(algorithm, key, sealed)
    return JSON.parse(textOf(new Uint8Array(opened))) as Json
  } catch (error) {
    throw new SecretsUnreadable('the secrets are damaged: write them again', { cause: error })
  }
}

/** Whether the secrets are sealed under a key that is not the current one. */
export async function isSealedByOldKey(signingKeys: string, text: string): Promise<boolean> {
  const { currentKeyId } = await loadSigningKeys(signingKeys)
  return text.split('.')[1] !== String(currentKeyId)
}

/** Two blocks of the counter mode, because a MAC here has 128 bits. */
async function deriveKey(keys: SigningKeys, keyId: number): Promise<CryptoKey> {
  const blocks: Bytes[] = []
  for (const counter of [1, 2]) {
    const block = await keys.sign(keyId, utf8(`${counter}\0${LABEL}`))
    if (block === null) {
      throw new SecretsUnreadable(
        'the secrets were sealed under a signing key that is gone: write them again',
      )
    }
    blocks.push(block)
  }
  return crypto.subtle.importKey('raw', concatBytes(blocks), 'AES-GCM', false, ['encrypt', 'decrypt'])
}
