// Logging: the only import of pino. Secrets are redacted here, whatever the caller passes.
import { type Logger, pino } from 'pino';

export type { Logger } from 'pino';

const REDACTED = [
  'secret',
  'secretKey',
  'secretKeys',
  'credentialKey',
  'credentialKeys',
  'authorization',
  'Authorization',
  '*.secret',
  '*.secretKey',
  '*.secretKeys',
  '*.credentialKey',
  '*.credentialKeys',
  '*.authorization',
  '*.Authorization',
  'headers.authorization',
  'req.headers.authorization',
];

export function createLogger(
  options: { level?: string; node?: string; destination?: { write(line: string): void } } = {},
): Logger {
  const settings = {
    level: options.level ?? 'info',
    base: options.node === undefined ? {} : { node: options.node },
    redact: { paths: REDACTED, censor: '[redacted]' },
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  return options.destination ? pino(settings, options.destination) : pino(settings);
}

/** For tests and one-shot commands that must not print. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}
