// Forms as browsers and programs send them, for tests: multipart/form-data bodies, policies and their signatures.
import { createHmac } from 'node:crypto';

export type FieldList = readonly (readonly [name: string, value: string | Buffer])[];

export interface FormBody {
  readonly body: Buffer;
  readonly contentType: string;
}

export interface FormShape {
  readonly boundary?: string;
  readonly filename?: string;
  /** Name of the part with the file; null: none. */
  readonly fileField?: string | null;
  readonly after?: FieldList;
  /** As python's requests: every part has a file name. */
  readonly named?: boolean;
}

export function formBody(fields: FieldList, file: string | Buffer, shape: FormShape = {}): FormBody {
  const { boundary = '----zringFormBoundary7MA4YWxk', filename, fileField = 'file', after = [], named = false } = shape;
  const parts: Buffer[] = [];
  const add = (name: string, value: string | Buffer, given?: string) => {
    const disposition = `form-data; name="${name}"${given === undefined ? '' : `; filename="${given}"`}`;
    parts.push(Buffer.from(`--${boundary}\r\nContent-Disposition: ${disposition}\r\n\r\n`));
    parts.push(Buffer.from(value), Buffer.from('\r\n'));
  };
  for (const [name, value] of fields) add(name, value, named ? name : undefined);
  if (fileField !== null) add(fileField, file, filename ?? (named ? fileField : undefined));
  for (const [name, value] of after) add(name, value, named ? name : undefined);
  parts.push(Buffer.from(`--${boundary}--\r\n`));
  return { body: Buffer.concat(parts), contentType: `multipart/form-data; boundary=${boundary}` };
}

export function encodePolicy(conditions: unknown, expiration: unknown = inAnHour()): string {
  return Buffer.from(JSON.stringify({ expiration, conditions })).toString('base64');
}

export function inAnHour(): string {
  return new Date(Date.now() + 3_600_000).toISOString();
}

export function signV2(policy: string, accessKey: string, secret: string): [string, string][] {
  return [
    ['AWSAccessKeyId', accessKey],
    ['policy', policy],
    ['signature', createHmac('sha1', secret).update(policy).digest('base64')],
  ];
}

export interface V4Options {
  readonly accessKey: string;
  readonly secret: string;
  readonly region?: string;
  readonly date?: string;
  readonly service?: string;
}

/** Conditions and fields of version 4; its own fields are conditions too. */
export function signV4(conditions: readonly unknown[], options: V4Options, expiration?: string): [string, string][] {
  const { accessKey, secret, region = 'us-east-1', service = 's3' } = options;
  const date = options.date ?? new Date().toISOString().replace(/\.\d{3}|[:-]/g, '');
  const day = date.slice(0, 8);
  const credential = `${accessKey}/${day}/${region}/${service}/aws4_request`;
  const own: [string, string][] = [
    ['x-amz-algorithm', 'AWS4-HMAC-SHA256'],
    ['x-amz-credential', credential],
    ['x-amz-date', date],
  ];
  const policy = encodePolicy([...conditions, ...own.map(([name, value]) => ({ [name]: value }))], expiration);
  const mac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  const key = [region, service, 'aws4_request'].reduce(mac, mac(`AWS4${secret}`, day));
  return [...own, ['policy', policy], ['x-amz-signature', mac(key, policy).toString('hex')]];
}
