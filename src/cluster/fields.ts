// Strict reading of stored objects (maps, records): every field known, checked and taken once, the version first.
// Pure. An unknown field means a newer writer that forgot its version, or damage; both are refused.
import { ZringError } from '../common/errors.ts';

export interface Fields {
  take<T>(key: string, check: (value: unknown) => value is T): T;
  take(key: string, check: (value: unknown) => boolean): unknown;
  /** Undefined when it is not there. */
  takeOptional<T>(key: string, check: (value: unknown) => value is T): T | undefined;
  /** Refuses what nobody has taken. */
  end(): void;
  refuse(key: string, why: string): never;
}

/** Errors: VERSION_UNSUPPORTED when `version` is above `newest`, else COORDINATOR_CORRUPT. */
export function fieldsOf(value: unknown, what: string, newest: number, subject?: string): Fields {
  const options = subject === undefined ? {} : { subject };
  const corrupt = (why: string): never => {
    throw new ZringError(
      'COORDINATOR_CORRUPT',
      `${what}${subject === undefined ? '' : ` of ${subject}`}: ${why}`,
      options,
    );
  };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return corrupt('not an object');
  const left = new Map<string, unknown>(Object.entries(value));
  const version = left.get('version');
  if (!isCount(version) || version < 1) return corrupt('has no version');
  if (version > newest) {
    const message = `${what} is of version ${version}; this release reads up to ${newest}`;
    throw new ZringError('VERSION_UNSUPPORTED', message, { ...options, details: { version, newest } });
  }
  left.delete('version');
  return {
    take(key: string, check: (value: unknown) => boolean) {
      const taken = left.get(key);
      if (!left.delete(key)) return corrupt(`lacks ${key}`);
      if (!check(taken)) return corrupt(`${key} is invalid`);
      return taken as never;
    },
    takeOptional(key: string, check: (value: unknown) => boolean) {
      const taken = left.get(key);
      if (!left.delete(key)) return undefined;
      if (!check(taken)) return corrupt(`${key} is invalid`);
      return taken as never;
    },
    end() {
      for (const key of left.keys()) corrupt(`has an unknown field ${JSON.stringify(key)}`);
    },
    refuse: (key, why) => corrupt(`${key} ${why}`),
  };
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** The form `parseTerm` reads back. */
export function isNodeId(value: unknown): value is string {
  return typeof value === 'string' && /^[a-z0-9][a-z0-9-]{0,62}$/.test(value);
}

/** Dataset and cluster names: short printable text without blanks. What a bucket may be called is decided elsewhere. */
export function isName(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]{1,255}$/.test(value);
}

/** An access key, as clients may send it in a signature's scope. */
export function isAccessKey(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9._-]{3,128}$/.test(value);
}

/** Zones and addresses: short text without control characters. */
export function isText(value: unknown): value is string {
  return typeof value === 'string' && /^[^\p{C}]{1,255}$/u.test(value);
}
