// Time stamps of Signature Version 4: the basic ISO 8601 form `20130524T000000Z`, or an RFC 1123 Date header.
// Pure; "now" is an argument. Source: Amazon S3 API Reference, Authenticating requests: using the Authorization header.
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';

const ISO_BASIC = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;

export interface AmzDate {
  readonly ms: number;
  /** `20130524T000000Z`, as it stands in the string to sign. */
  readonly iso: string;
  /** `20130524`, as it must stand in the credential scope. */
  readonly day: string;
}

/** Null for anything that is not a real moment in that form (February 30th is none). */
export function parseAmzDate(text: string): AmzDate | null {
  const match = ISO_BASIC.exec(text);
  if (match === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  const ms = Date.UTC(year, month - 1, day, hour, minute, second);
  // Fields beyond their range roll over: then the month (or the day of it) is another one.
  const moment = new Date(ms);
  const real = hour < 24 && minute < 60 && second < 60 && moment.getUTCDate() === day;
  return real && moment.getUTCMonth() === month - 1 ? { ms, iso: text, day: text.slice(0, 8) } : null;
}

/** A Date header, in RFC 1123 form (or, as some clients do, in the form of x-amz-date). */
export function parseHttpDate(text: string): AmzDate | null {
  const basic = parseAmzDate(text);
  if (basic !== null) return basic;
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} (GMT|UTC|\+0000|-0000)$/.test(text)) return null;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) return null;
  const iso = formatAmzDate(ms);
  return { ms, iso, day: iso.slice(0, 8) };
}

export function formatAmzDate(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}|[:-]/g, '');
}

/** x-amz-date goes before Date. Neither, or no valid one: AccessDenied, as S3 answers. */
export function requireRequestDate(amzDate: string | undefined, date: string | undefined): AmzDate {
  const parsed = amzDate === undefined ? (date === undefined ? null : parseHttpDate(date)) : parseAmzDate(amzDate);
  if (parsed === null) {
    throw new S3Error('AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header');
  }
  return parsed;
}

/** A replayed or post-dated request is only as old or new as this window. */
export function requireWithinSkew(date: AmzDate, nowMs: number): void {
  const maxMs = LIMITS.clockSkewSecondsMax.value * 1000;
  if (Math.abs(nowMs - date.ms) <= maxMs) return;
  throw new S3Error('RequestTimeTooSkewed', undefined, {
    fields: {
      RequestTime: date.iso,
      ServerTime: new Date(nowMs).toISOString(),
      MaxAllowedSkewMilliseconds: String(maxMs),
    },
  });
}
