// Principals of a bucket policy: who a statement speaks of. Pure. Credentials are users `displayName` of an account;
// roles, federated users and AWS services are understood and match nobody, for there are none here.
// Source: IAM User Guide, "AWS JSON policy elements: Principal".
import type { Identity } from '../types.ts';
import { isAnonymous } from './anonymous.ts';

export type Principal =
  | { readonly kind: 'everybody' }
  | { readonly kind: 'account'; readonly account: string }
  | { readonly kind: 'user'; readonly account: string; readonly name: string }
  | { readonly kind: 'canonical'; readonly id: string }
  /** Understood, and nobody here. */
  | { readonly kind: 'foreign' };

const ACCOUNT = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const ARN = /^arn:aws[a-z-]*:(iam|sts)::([^:]*):(.+)$/s;

/** Null when it is none of the forms. */
export function parseAwsPrincipal(text: string): Principal | null {
  if (text === '*') return { kind: 'everybody' };
  if (ACCOUNT.test(text)) return { kind: 'account', account: text };
  const [, service, account = '', resource = ''] = ARN.exec(text) ?? [];
  // A wildcard inside an ARN is refused by AWS too: it would look narrower than it is.
  if (service === undefined || !ACCOUNT.test(account) || /[*?]/.test(resource)) return null;
  if (service === 'iam' && resource === 'root') return { kind: 'account', account };
  if (service === 'iam' && /^user\/./s.test(resource)) return { kind: 'user', account, name: resource.slice(5) };
  return /^(role|assumed-role|federated-user)\/./.test(resource) ? { kind: 'foreign' } : null;
}

export function matchesPrincipal(principal: Principal, identity: Identity): boolean {
  if (principal.kind === 'everybody') return true;
  if (isAnonymous(identity)) return false;
  switch (principal.kind) {
    case 'account':
      return identity.account === principal.account;
    case 'user':
      return identity.account === principal.account && identity.displayName === principal.name;
    case 'canonical':
      return identity.canonicalId === principal.id;
    case 'foreign':
      return false;
  }
}

/** As it stands in `Principal` and in aws:PrincipalArn. */
export function principalArn(identity: Identity): string {
  return `arn:aws:iam::${identity.account}:user/${identity.displayName}`;
}
