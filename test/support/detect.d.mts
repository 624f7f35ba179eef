// Types of detect.mjs, for parts.ts.
export function which(program: string): string | null;
export function postgresFolder(): string | null;
export function boto3Python(): string | null;
export const PARTS: Readonly<
  Record<string, { readonly packages: readonly string[]; readonly fault: () => string | null }>
>;
export function detectParts(): Record<string, string | null>;
