// Grants as clients write them (by canonical id, e-mail address or group), in `x-amz-grant-*` headers or a document, and
// their grantees as the credentials of the cluster know them. Pure.
// Source: Amazon S3 User Guide, "Access control list (ACL) overview": who is a grantee, how headers name one.
import type { Credential } from '../../config/types.ts';
import { invalidArgument, S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Owner } from '../xml/results.ts';
import { type AclPermission, GROUPS, type Grantee, type StoredAcl } from './acl.ts';

export interface ClaimedGrant {
  readonly by: 'id' | 'emailAddress' | 'uri';
  readonly value: string;
  readonly permission: AclPermission;
}

/** In the order in which the API Reference lists them, which is the order of the grants. */
export const GRANT_HEADERS: readonly (readonly [header: string, permission: AclPermission])[] = [
  ['x-amz-grant-read', 'READ'],
  ['x-amz-grant-write', 'WRITE'],
  ['x-amz-grant-read-acp', 'READ_ACP'],
  ['x-amz-grant-write-acp', 'WRITE_ACP'],
  ['x-amz-grant-full-control', 'FULL_CONTROL'],
];

type Headers = Readonly<Record<string, string>>;

/** null when there is no such header; a header without a grantee grants nothing. */
export function readGrantHeaders(headers: Headers): readonly ClaimedGrant[] | null {
  for (const name of Object.keys(headers)) {
    if (name.startsWith('x-amz-grant-') && !GRANT_HEADERS.some(([known]) => known === name)) {
      throw invalidArgument('Argument format not recognized', name, headers[name] ?? '');
    }
  }
  const present = GRANT_HEADERS.filter(([header]) => headers[header] !== undefined);
  if (present.length === 0) return null;
  return present.flatMap(([header, permission]) =>
    readGrantees(header, headers[header] ?? '').map((claim) => ({ ...claim, permission })),
  );
}

const BY = { id: 'id', uri: 'uri', emailaddress: 'emailAddress' } as const;

/** `id="…", uri=…`: the quotes may be left out where the value has no comma. No pattern, for the text may be long. */
function readGrantees(header: string, text: string): Omit<ClaimedGrant, 'permission'>[] {
  const found: Omit<ClaimedGrant, 'permission'>[] = [];
  for (const item of splitOutsideQuotes(text)) {
    const at = item.indexOf('=');
    const type = item.slice(0, Math.max(at, 0)).trim().toLowerCase();
    const value = unquoted(item.slice(at + 1).trim());
    if (!isNamedBy(type) || value === null) throw invalidArgument('Argument format not recognized', header, text);
    found.push({ by: BY[type], value });
  }
  return found;
}

function isNamedBy(type: string): type is keyof typeof BY {
  return Object.hasOwn(BY, type);
}

/** Empty items are none. A quote that is not closed reaches to the end, and is refused with its item. */
function splitOutsideQuotes(text: string): string[] {
  const items: string[] = [];
  let start = 0;
  let quoted = false;
  for (let at = 0; at <= text.length; at++) {
    if (text[at] === '"') quoted = !quoted;
    if (at < text.length && (quoted || text[at] !== ',')) continue;
    const item = text.slice(start, at).trim();
    if (item !== '') items.push(item);
    start = at + 1;
  }
  return items;
}

/** null when quotes stand anywhere but around it. */
function unquoted(value: string): string | null {
  const inner = value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
  return inner.includes('"') ? null : inner.trim();
}

/** Whom grants may name: the users of the configuration, and those who own the bucket or the object anyway. */
export interface Grantees {
  byId(id: string): Owner | null;
  /** One user each, however many credentials it has. */
  byEmail(email: string): readonly Owner[];
}

export function granteesOf(credentials: readonly Credential[], owners: readonly (Owner | null)[]): Grantees {
  const users = new Map<string, Owner>();
  for (const owner of owners) if (owner !== null) users.set(owner.id, owner);
  for (const { canonicalId: id, displayName } of credentials) {
    if (id !== '' && !users.has(id)) users.set(id, { id, displayName });
  }
  return {
    byId: (id) => users.get(id) ?? null,
    byEmail(email) {
      const wanted = email.toLowerCase();
      const ids = credentials.filter((one) => one.email?.toLowerCase() === wanted).map((one) => one.canonicalId);
      return [...new Set(ids)].flatMap((id) => users.get(id) ?? []);
    },
  };
}

/** Whole or not at all: one grantee that nobody knows refuses the list. */
export function resolveGrants(claims: readonly ClaimedGrant[], grantees: Grantees): StoredAcl {
  if (claims.length > LIMITS.aclGrantsMax.value) throw new S3Error('MalformedACLError');
  return { grants: claims.map((claim) => ({ grantee: resolve(claim, grantees), permission: claim.permission })) };
}

function resolve({ by, value }: ClaimedGrant, grantees: Grantees): Grantee {
  if (by === 'uri') {
    if (Object.values(GROUPS).some((uri) => uri === value)) return { kind: 'group', uri: value };
    throw invalidArgument('Invalid group uri', 'uri', value);
  }
  const [user, other] = by === 'id' ? [grantees.byId(value), undefined] : grantees.byEmail(value);
  if (other !== undefined) throw new S3Error('AmbiguousGrantByEmailAddress');
  if (user) return { kind: 'user', id: user.id, displayName: user.displayName };
  if (by === 'id') throw invalidArgument('Invalid id', 'CanonicalUser/ID', value);
  throw new S3Error('UnresolvableGrantByEmailAddress', undefined, { fields: { EmailAddress: value } });
}
