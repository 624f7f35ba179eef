// One credential: who it is and what it may do. The file's `credentials` and those that `zring credential add` keeps in
// the coordinator are checked by the same fields, so that either can take the other's place.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { matching, oneOf, type SchemaContext, scalar, secretField } from './schema-fields.ts';

export const ALLOW_MAX = 100;
export const SECRET_KEY_CHARACTERS_MIN = 8;

/** No slash: a signature's scope is `KEY/DAY/REGION/s3/aws4_request`. No `=`, `,` or blank: they part the header. */
const ACCESS_KEY = /^[A-Za-z0-9._-]{3,128}$/;
const BUCKET_GLOB = /^[a-z0-9.*?-]{1,63}$/;
/** Printable ASCII without what XML, grant headers (`id="…", id="…"`) and patterns of policies give a meaning of its own. */
const CANONICAL_ID = /^[!#-%()+\--;=@-~]{1,128}$/;
const ACCOUNT = /^[A-Za-z0-9._$-]{1,128}$/;
const EMAIL = /^[^\s\p{Cc}@"&'<>,]{1,64}@[A-Za-z0-9.-]{1,190}$/u;
const DISPLAY_NAME = /^[^\p{Cc}]{1,64}$/u;

/** Everything but the secret. */
export function credentialFields() {
  const allow = z.strictObject({
    buckets: scalar(
      {
        type: 'pattern',
        limit: 'lower-case letters, digits, `.`, `-`, with `*` and `?`; 1 to 63 characters',
        effect: 'live',
        text: 'Buckets that this entry allows.',
      },
      matching(BUCKET_GLOB, 'is not a bucket name pattern'),
    ),
    actions: scalar(
      {
        type: '`*`, `read`, `write` or `create`',
        effect: 'live',
        text: '`read`: get and list. `write`: everything that changes but permissions (policies, ACLs, bypass of locks). `create`: make buckets, which it then owns. `*`: all.',
      },
      oneOf('*', 'read', 'write', 'create'),
    ),
  });
  return {
    accessKey: scalar(
      {
        type: 'name',
        limit: 'letters, digits, `.`, `_`, `-`; 3 to 128 characters; unique',
        effect: 'live',
        text: 'What clients call the access key id.',
      },
      matching(ACCESS_KEY, 'is not an access key'),
    ),
    displayName: scalar(
      {
        type: 'text',
        limit: '1 to 64 characters',
        otherwise: 'the access key',
        effect: 'live',
        text: 'Name of the owner in listings, and of the user in bucket policies. Credentials of one owner may have names of their own.',
      },
      matching(DISPLAY_NAME, 'is empty, too long or has control characters'),
    ).optional(),
    canonicalId: scalar(
      {
        type: 'text',
        limit: 'printable ASCII without blanks and `"&\'*,<>?`; 1 to 128 characters',
        otherwise: 'derived from the access key',
        effect: 'live',
        text: 'Id of the owner of buckets and objects. Give two credentials the same one to make them the same owner.',
      },
      matching(CANONICAL_ID, 'is not an owner id'),
    ).optional(),
    email: scalar(
      {
        type: 'e-mail address',
        limit: 'one owner each',
        otherwise: 'none',
        effect: 'live',
        text: 'Grants of access control lists may name the owner by it.',
      },
      matching(EMAIL, 'is not an e-mail address'),
    ).optional(),
    account: scalar(
      {
        type: 'name',
        limit: 'letters, digits, `.`, `_`, `-`, `$`; 1 to 128 characters',
        otherwise: 'the canonical id',
        effect: 'live',
        text: 'The account in bucket policies, as in `arn:aws:iam::ACCOUNT:user/DISPLAYNAME` or `arn:aws:iam::ACCOUNT:root`.',
      },
      matching(ACCOUNT, 'is not an account'),
    ).optional(),
    allow: z.array(allow).max(ALLOW_MAX),
  };
}

export function credentialSection({ readSecret }: SchemaContext) {
  const { accessKey, ...rest } = credentialFields();
  return z.strictObject({
    accessKey,
    secretKey: secretField(
      { effect: 'live', text: 'What clients sign with. All in a list are accepted, so that it can be rotated.' },
      readSecret,
      SECRET_KEY_CHARACTERS_MIN,
    ),
    ...rest,
  });
}

/** The canonical id of a credential that names none. */
export function defaultCanonicalId(accessKey: string): string {
  return createHash('sha256').update(`zring canonical id\0${accessKey}`).digest('hex');
}
