// AccessControlPolicy, the document of Get- and Put-BucketAcl and -ObjectAcl: out from a list, in as claims that nobody
// has checked yet. Pure. Every fault of shape is MalformedACLError; who a grantee is, is decided elsewhere.
import { ACL_PERMISSIONS, type Grant, type Grantee } from '../access/acl.ts';
import type { ClaimedGrant } from '../access/acl-grants.ts';
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { childrenOf, childText, parseXml, type XmlElement } from './reader.ts';
import type { Owner } from './results.ts';
import { document, leaf, node, S3_NAMESPACE } from './writer.ts';

const XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';

/**
 * Groups come first, whatever the order of the grants, which has no meaning: some clients (ceph/s3-tests among them)
 * look for the owner behind the groups.
 */
export function accessControlPolicy(policy: { readonly owner: Owner; readonly grants: readonly Grant[] }): string {
  const groups = policy.grants.filter(({ grantee }) => grantee.kind === 'group');
  const users = policy.grants.filter(({ grantee }) => grantee.kind === 'user');
  return document(
    'AccessControlPolicy',
    S3_NAMESPACE,
    node('Owner', leaf('ID', policy.owner.id), displayName(policy.owner.displayName)),
    node('AccessControlList', ...[...groups, ...users].map(grantElement)),
  );
}

function grantElement({ grantee, permission }: Grant): string {
  return node('Grant', granteeElement(grantee), leaf('Permission', permission));
}

function granteeElement(grantee: Grantee): string {
  const [type, inner] =
    grantee.kind === 'group'
      ? ['Group', leaf('URI', grantee.uri)]
      : ['CanonicalUser', leaf('ID', grantee.id) + displayName(grantee.displayName)];
  return `<Grantee ${XSI} xsi:type="${type}">${inner}</Grantee>`;
}

function displayName(name: string | undefined): string {
  return name === undefined || name === '' ? '' : leaf('DisplayName', name);
}

export interface ClaimedPolicy {
  readonly ownerId: string;
  readonly grants: readonly ClaimedGrant[];
}

/** An empty list is one (S3 takes it); a list of something else, or none at all, is not. */
export function parseAccessControlPolicy(body: Buffer): ClaimedPolicy {
  try {
    return readPolicy(parseXml(body, LIMITS.configurationBytesMax.value));
  } catch (error) {
    if (error instanceof S3Error && error.code === 'MalformedXML') throw malformed(error);
    throw error;
  }
}

function readPolicy(root: XmlElement): ClaimedPolicy {
  if (root.name !== 'AccessControlPolicy') throw malformed();
  const ownerId = childText(only(root, 'Owner'), 'ID')?.trim();
  if (ownerId === undefined || ownerId === '') throw malformed();
  const list = only(root, 'AccessControlList');
  if (list.children.some((child) => child.name !== 'Grant')) throw malformed();
  if (list.children.length > LIMITS.aclGrantsMax.value) throw malformed();
  return { ownerId, grants: list.children.map(readGrant) };
}

function readGrant(element: XmlElement): ClaimedGrant {
  const text = childText(element, 'Permission')?.trim();
  const permission = ACL_PERMISSIONS.find((known) => known === text);
  if (permission === undefined) throw malformed();
  return { ...readGrantee(only(element, 'Grantee')), permission };
}

/** What names the grantee, by the type of the element. A display name is for people and never read. */
const NAMED_BY = {
  CanonicalUser: ['ID', 'id'],
  AmazonCustomerByEmail: ['EmailAddress', 'emailAddress'],
  Group: ['URI', 'uri'],
} as const;

function readGrantee(element: XmlElement): Pick<ClaimedGrant, 'by' | 'value'> {
  const type = (element.type ?? '').slice((element.type ?? '').indexOf(':') + 1);
  if (!isGranteeType(type)) throw malformed();
  const [child, by] = NAMED_BY[type];
  const value = childText(element, child)?.trim();
  if (value === undefined || value === '') throw malformed();
  return { by, value };
}

function isGranteeType(type: string): type is keyof typeof NAMED_BY {
  return Object.hasOwn(NAMED_BY, type);
}

function only(element: XmlElement, name: string): XmlElement {
  const [first, second] = childrenOf(element, name);
  if (first === undefined || second !== undefined) throw malformed();
  return first;
}

function malformed(cause?: unknown): S3Error {
  return new S3Error('MalformedACLError', undefined, cause === undefined ? {} : { cause });
}
