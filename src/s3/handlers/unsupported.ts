// Unsupported request headers: what asks for something this release does not do is refused, never ignored (a success
// that silently drops what was asked for is a wrong success). Encryption: encryption.ts. Pure.
import { S3Error } from '../errors.ts';

type Headers = Readonly<Record<string, string>>;

interface Rule {
  /** Exact name, or a prefix when it ends with `*`. */
  readonly header: string;
  readonly allowed?: (value: string) => boolean;
}

const RULES: readonly Rule[] = [
  { header: 'x-amz-write-offset-bytes' },
  { header: 'x-amz-object-lock-event-hold*' },
  { header: 'x-amz-bucket-namespace', allowed: (value) => value === 'global' },
];

export function refuseUnsupported(headers: Headers): void {
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
