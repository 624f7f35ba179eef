// Unsupported request headers: what asks for something this release does not do is refused, never ignored (a success
// that silently drops encryption, a lock or a grant is a wrong success). Pure. Headers that only repeat what is so
// anyway (ACL `private`, object lock `false`) pass, because common clients send them.
import { S3Error } from '../errors.ts';

type Headers = Readonly<Record<string, string>>;

interface Rule {
  /** Exact name, or a prefix when it ends with `*`. */
  readonly header: string;
  readonly allowed?: (value: string) => boolean;
}

const CANNED_ACLS = new Set([
  'private',
  'public-read',
  'public-read-write',
  'authenticated-read',
  'aws-exec-read',
  'bucket-owner-read',
  'bucket-owner-full-control',
  'log-delivery-write',
]);
/** With ACLs disabled (BucketOwnerEnforced) S3 itself accepts exactly these. */
const ACLS_WITHOUT_EFFECT = new Set(['private', 'bucket-owner-full-control']);

const RULES: readonly Rule[] = [
  { header: 'x-amz-server-side-encryption*' },
  { header: 'x-amz-copy-source-server-side-encryption*' },
  { header: 'x-amz-object-lock-*' },
  { header: 'x-amz-bucket-object-lock-enabled', allowed: (value) => value.toLowerCase() === 'false' },
  { header: 'x-amz-grant-*' },
  { header: 'x-amz-write-offset-bytes' },
  { header: 'x-amz-object-ownership', allowed: (value) => value === 'BucketOwnerEnforced' },
  { header: 'x-amz-rename-source*' },
  { header: 'x-amz-if-match-last-modified-time' },
  { header: 'x-amz-if-match-size' },
];

export function refuseUnsupported(headers: Headers): void {
  checkAcl(headers['x-amz-acl']);
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith('x-amz-')) continue;
    for (const rule of RULES) {
      if (covers(rule.header, name) && !rule.allowed?.(value)) {
        throw new S3Error('NotImplemented', `The header ${name} implies functionality that is not implemented`);
      }
    }
  }
}

function covers(rule: string, name: string): boolean {
  return rule.endsWith('*') ? name.startsWith(rule.slice(0, -1)) : name === rule;
}

function checkAcl(acl: string | undefined): void {
  if (acl === undefined || ACLS_WITHOUT_EFFECT.has(acl)) return;
  if (!CANNED_ACLS.has(acl)) throw new S3Error('InvalidArgument', `${acl} is not a canned ACL`);
  throw new S3Error('NotImplemented', `The canned ACL ${acl} is not implemented`);
}
