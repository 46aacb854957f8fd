/**
 * An S3-compatible bucket that takes PUTs. It checks the signature by itself, from the specification (Amazon S3 API:
 * "Authenticating requests: Using the Authorization Header, single chunk"), not by the library that made it.
 */

import { createHash, createHmac } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import {
  startDestination,
  type Destination,
  type DestinationReply,
  type DestinationRequest,
} from './destination.ts'

export interface S3Server extends Destination {
  bucket: string
  region: string
  accessKeyId: string
  secretAccessKey: string
  maxObjectBytes: number
  /** Whether the bucket is the first label of the host. */
  isVirtualHost: boolean
  objects: Map<string, { body: Buffer; storageClass: string | undefined }>
  /** The NDJSON lines of an object. */
  lines(key: string): string[]
}

export async function startS3Server(): Promise<S3Server> {
  const destination = await startDestination(
    () => ({ maxBodyBytes: server.maxObjectBytes, tooLarge: failure(400, 'EntityTooLarge') }),
    (request) => put(server, request),
  )
  const objects: S3Server['objects'] = new Map()
  const server: S3Server = Object.assign(destination, {
    bucket: 'fleet-logs',
    region: 'eu-central-1',
    accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    maxObjectBytes: 10_000_000,
    isVirtualHost: false,
    objects,
    lines: (key: string) => {
      const object = objects.get(key)
      if (object === undefined) throw new Error(`no object ${key}`)
      return gunzipSync(object.body).toString().trimEnd().split('\n')
    },
  })
  return server
}

function put(server: S3Server, request: DestinationRequest): DestinationReply {
  const fault = faultOfSignature(server, request)
  if (fault !== null) return fault
  const { headers, body, url } = request
  if (request.method !== 'PUT') return failure(405, 'MethodNotAllowed')
  const declared = headers['x-amz-content-sha256']
  if (declared !== sha256(body)) return failure(400, 'XAmzContentSHA256Mismatch')
  const path = decodeURIComponent(url.pathname).slice(1)
  const bucket = server.isVirtualHost ? (headers['host'] ?? '').split('.')[0] : path.split('/')[0]
  if (bucket !== server.bucket) return failure(404, 'NoSuchBucket')
  const key = server.isVirtualHost ? path : path.slice(server.bucket.length + 1)
  server.objects.set(key, { body, storageClass: headers['x-amz-storage-class'] })
  return { status: 200, headers: { etag: `"${createHash('md5').update(body).digest('hex')}"` } }
}

function faultOfSignature(server: S3Server, request: DestinationRequest): DestinationReply | null {
  const { headers } = request
  const shape =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/
  const [, keyId = '', date = '', region = '', signed = '', signature = ''] =
    shape.exec(headers['authorization'] ?? '') ?? []
  if (signature === '') return failure(403, 'AccessDenied')
  if (keyId !== server.accessKeyId) return failure(403, 'InvalidAccessKeyId')
  if (region !== server.region) return failure(400, 'AuthorizationHeaderMalformed')
  const time = headers['x-amz-date'] ?? ''
  const names = signed.split(';')
  const mustBeSigned = Object.keys(headers).filter((name) => name === 'host' || name.startsWith('x-amz-'))
  if (!time.startsWith(date) || mustBeSigned.some((name) => !names.includes(name))) {
    return failure(403, 'AccessDenied')
  }
  const canonical = [
    request.method,
    uriEncoded(decodeURIComponent(request.url.pathname)),
    [...request.url.searchParams]
      .map(([name, value]) => `${name}=${value}`)
      .sort()
      .join('&'),
    ...names.map((name) => `${name}:${(headers[name] ?? '').trim().replaceAll(/ +/g, ' ')}`),
    '',
    signed,
    headers['x-amz-content-sha256'],
  ].join('\n')
  const scope = `${date}/${region}/s3/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n')
  const key = [date, region, 's3', 'aws4_request'].reduce<Buffer | string>(
    hmac,
    `AWS4${server.secretAccessKey}`,
  )
  return hmac(key, toSign).toString('hex') === signature ? null : failure(403, 'SignatureDoesNotMatch')
}

/** Everything but A-Z a-z 0-9 - . _ ~ and the slashes between. */
function uriEncoded(path: string): string {
  return [...Buffer.from(path)]
    .map((byte) => {
      const character = String.fromCharCode(byte)
      return /[A-Za-z0-9\-._~/]/.test(character)
        ? character
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
    })
    .join('')
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function failure(status: number, code: string): DestinationReply {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>…</Message></Error>`
  return { status, body, headers: { 'content-type': 'application/xml' } }
}
