// Who sent a request: AWS Signature Version 4, in the Authorization header or in the query (presigned URL).
// Pure but for the key cache; takes time and credentials as arguments. It knows nothing of operations or bodies.
import type { Credential } from '../../config/types.ts';
import { S3Error } from '../errors.ts';
import type { Authenticated, Target } from '../types.ts';

export interface AuthenticatorOptions {
  readonly region: string;
  /** Called per request; a new array (live reload) rebuilds the lookup and drops cached keys. */
  readonly credentials: () => readonly Credential[];
  readonly nowMs: () => number;
}

export interface SignedRequest {
  readonly method: string;
  readonly target: Target;
  /** As Node gives them: name, value, name, value …; values latin1. Duplicates are kept. */
  readonly rawHeaders: readonly string[];
}

export interface Authenticator {
  /** Throws S3Error: AccessDenied for anonymous requests, and one code per fault. */
  authenticate(request: SignedRequest): Authenticated;
}

export function createAuthenticator(_options: AuthenticatorOptions): Authenticator {
  return {
    authenticate() {
      throw new S3Error('NotImplemented');
    },
  };
}
