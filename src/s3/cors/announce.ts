// Puts the CORS headers on the answer to an actual request, whatever that answer will be: a browser shows its program an
// error, a redirect or half an object only with them. Set on the response before anything can fail, so every writer of
// an answer sends them; the owner of the bucket does it, and the hop relays what it set. Owns nothing.
import type { DatasetAccess } from '../../ownership/access.ts';
import type { Exchange } from '../../routing/exchange.ts';
import type { Store } from '../../store/types.ts';
import { CORS_DOCUMENT, CORS_VARY, type CorsRule, corsHeaders, matchingRule, parseCorsDocument } from './rules.ts';

type Headers = Readonly<Record<string, string>>;

export function readCorsRules(store: Store): readonly CorsRule[] {
  return parseCorsDocument(store.document(CORS_DOCUMENT));
}

/** Before the sender is known: what refuses him is to be readable too. Only a request of a browser has an Origin. */
export async function announceCors(
  access: DatasetAccess,
  exchange: Exchange,
  bucket: string | null,
  headers: Headers,
): Promise<void> {
  if (headers.origin === undefined || bucket === null) return;
  try {
    const held = await access.enter(bucket, 'read');
    try {
      setCorsHeaders(exchange, held.store, headers);
    } finally {
      held.release();
    }
  } catch {
    // A bucket that cannot be entered has no rules to go by; the request meets the same, and says it.
  }
}

/** A preflight's answer is its handler's; S3 takes the method that an actual request asks for before the one it has. */
export function setCorsHeaders({ request, response }: Exchange, store: Store, headers: Headers): void {
  const rules = readCorsRules(store);
  if (rules.length === 0 || response.headersSent) return;
  response.setHeader('vary', CORS_VARY);
  const { origin, 'access-control-request-method': asked } = headers;
  if (origin === undefined || request.method === 'OPTIONS') return;
  const question = { origin, method: asked ?? request.method ?? '', headers: [] };
  const rule = matchingRule(rules, question);
  if (rule === null) return;
  for (const [name, value] of Object.entries(corsHeaders(rule, question))) response.setHeader(name, value);
}
