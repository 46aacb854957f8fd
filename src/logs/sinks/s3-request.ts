/** The signed request that puts an object, and what the answer means. */

import { AwsV4Signer } from 'aws4fetch'
import { hexOf, sha256, textOf } from '../../lib/bytes.ts'
import type { S3Object } from './s3-object.ts'

export interface S3Place {
  /** Where the service answers, without the bucket: `https://s3.eu-central-1.amazonaws.com`. */
  endpoint: string
  bucket: string
  region: string
  /** `path`: endpoint/bucket/key. `virtual-host`: bucket.endpoint/key. */
  addressing: 'path' | 'virtual-host'
  /** Null: the bucket's own. */
  storageClass: string | null
}

export interface S3Credentials {
  accessKeyId: string
  secretAccessKey: string
}

/** The URL of an object. */
export function s3UrlOf({ endpoint, bucket, addressing }: S3Place, key: string): URL {
  const url = new URL(endpoint)
  const base = url.pathname.replace(/\/+$/, '')
  const path = key.split('/').map(encodeURIComponent).join('/')
  if (addressing === 'virtual-host') url.hostname = `${bucket}.${url.hostname}`
  url.pathname = addressing === 'path' ? `${base}/${bucket}/${path}` : `${base}/${path}`
  return url
}

/** A PUT with a signature of version 4 over the body too, so that it proves to be whole. */
export async function signedPut(
  place: S3Place,
  credentials: S3Credentials,
  { key, body }: S3Object,
): Promise<{ url: URL; headers: Headers }> {
  const headers: Record<string, string> = {
    'content-type': 'application/gzip',
    'x-amz-content-sha256': hexOf(await sha256(body)),
    ...(place.storageClass === null ? {} : { 'x-amz-storage-class': place.storageClass }),
  }
  const signer = new AwsV4Signer({
    method: 'PUT',
    url: s3UrlOf(place, key).href,
    headers,
    service: 's3',
    region: place.region,
    ...credentials,
  })
  const signed = await signer.sign()
  return { url: signed.url, headers: signed.headers }
}

export type S3Outcome =
  | { kind: 'delivered' }
  | { kind: 'retry'; reason: string }
  /** The object is larger than the service takes. */
  | { kind: 'split'; reason: string }
  /** The sink is set up wrongly, or its rights are gone. */
  | { kind: 'refused'; reason: string }

/** Error codes that pass with time, whatever their status (Amazon S3 API, Error responses). */
const PASSING = new Set([
  'InternalError',
  'OperationAborted',
  'RequestTimeout',
  'ServiceUnavailable',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'TooManyRequests',
  'XAmzContentSHA256Mismatch',
  'BadDigest',
  'IncompleteBody',
])

/** Reads the answer to a PUT. Errors are XML with a Code; S3-compatible services keep to it, proxies do not. */
export function readS3Reply(status: number, body: Uint8Array): S3Outcome {
  if (status >= 200 && status < 300) return { kind: 'delivered' }
  const text = textOf(body)
  const code = /<Code>([A-Za-z0-9.]{1,64})<\/Code>/.exec(text)?.[1]
  const reason = code === undefined ? `HTTP status ${status}` : `HTTP status ${status}: ${code}`
  if (status === 413 || code === 'EntityTooLarge') return { kind: 'split', reason }
  if (status === 408 || status === 429 || status >= 500 || (code !== undefined && PASSING.has(code))) {
    return { kind: 'retry', reason }
  }
  return { kind: 'refused', reason }
}
