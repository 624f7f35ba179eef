// One request, from its head to the end of its answer, as named stages:
//
//   parse target ─▶ detect operation ─▶ decide place ─┬─▶ forward to the owner (routing), at most one re-route
//                                                     └─▶ authenticate ─▶ enter the dataset's gate ─▶ authorise
//                                                           ─▶ handler (100 Continue when it wants the body) ─▶ answer
//
// The place is decided before the signature is checked, because it is checked where the data is. Every failure ends as
// one S3Error, here; it is logged once, here. Owns no state but the authenticator's key cache.
import { isZringError, type NotOwnerDetails } from '../common/errors.ts';
import type { HeldDataset, Whereabouts } from '../ownership/access.ts';
import type { Exchange } from '../routing/exchange.ts';
import type { HopForwarder } from '../routing/forward.ts';
import { NOT_OWNER_STATUS } from '../routing/hop.ts';
import { refuseNotOwner } from '../routing/refuse-not-owner.ts';
import { type Routed, type RouteOptions, route } from '../routing/route.ts';
import type { Store } from '../store/types.ts';
import type { Logger } from '../telemetry/log.ts';
import { type Authorizer, createAuthorizer } from './access/authorizer.ts';
import { createsObject, isUnauthenticated, requireBeforeBucket, requireOperation } from './access/operation-access.ts';
import { announceCors, setCorsHeaders } from './cors/announce.ts';
import { S3Error, toS3Error } from './errors.ts';
import { checkExpectedOwner, readBucketDocument } from './handlers/bucket-document.ts';
import type { HandlerServices } from './handlers/context.ts';
import { runOnDataset } from './handlers/run.ts';
import { HANDLERS } from './handlers/table.ts';
import { detectOperation, isImplemented, type OperationName, operationSpec } from './operation.ts';
import { errorResponse, writeResponse } from './response.ts';
import { type Authenticator, createAuthenticator, UNAUTHENTICATED } from './sigv4/authenticate.ts';
import { withHoistedHeaders } from './sigv4/presigned-query.ts';
import { answerSlowly, SLOW_ANSWER_TIMING, type SlowAnswerTiming } from './slow-answer.ts';
import { snapshotAddress } from './snapshots/address.ts';
import { type Asked, momentOf } from './snapshots/moment.ts';
import { parseTarget } from './target.ts';
import type { Authenticated, S3Response, Target } from './types.ts';

export interface PipelineServices extends HandlerServices {
  readonly forwarder: HopForwarder;
  /** Epoch of the map in use; said in typed refusals. */
  readonly mapEpoch: () => number;
  readonly log: Logger;
  /** Default SLOW_ANSWER_TIMING. */
  readonly slowAnswers?: SlowAnswerTiming;
}

/** A request whose head was understood. */
interface Parsed {
  readonly target: Target;
  readonly operation: OperationName;
  readonly headers: Readonly<Record<string, string>>;
}

/** What is known of one exchange while it runs; for the log line and the metrics at its end. */
interface Progress {
  target: Target | null;
  operation: OperationName | 'Unknown';
  place: 'owner' | 'entry';
  status: number;
}

export type Pipeline = (exchange: Exchange) => Promise<void>;

export function createPipeline(services: PipelineServices): Pipeline {
  const { config, clock, metrics, log } = services;
  const authenticator = liveAuthenticator(services);

  return async (exchange) => {
    const startedMs = clock.monotonicMs();
    const progress: Progress = { target: null, operation: 'Unknown', place: 'owner', status: 0 };
    metrics.s3InFlight.inc({ place: 'owner' });
    try {
      const parsed = parse(exchange, config().cluster.domains, progress);
      await runWhereItBelongs(services, authenticator, exchange, parsed, progress);
    } catch (error) {
      await answerError(services, exchange, error, progress);
    } finally {
      metrics.s3InFlight.dec({ place: 'owner' });
      const { operation, place, status } = progress;
      const elapsedMs = clock.monotonicMs() - startedMs;
      metrics.s3Requests.inc({ operation, place, status: String(status) });
      metrics.s3Latency.observe({ operation, place }, elapsedMs / 1000);
      log.debug(
        { requestId: exchange.requestId, operation, bucket: progress.target?.bucket ?? null, place, status, elapsedMs },
        'request',
      );
    }
  };
}

/** The region is part of every signature; a reload that changes it takes effect with the next request. */
function liveAuthenticator({ config, clock }: PipelineServices): () => Authenticator {
  let region: string | null = null;
  let authenticator: Authenticator | null = null;
  return () => {
    const current = config().cluster.region;
    if (authenticator === null || region !== current) {
      region = current;
      authenticator = createAuthenticator({
        region: current,
        credentials: () => config().credentials,
        nowMs: () => clock.wallMs(),
      });
    }
    return authenticator;
  };
}

// --- stages: what is asked -------------------------------------------------------------------------------------------

function parse(exchange: Exchange, domains: readonly string[], progress: Progress): Parsed {
  const { request } = exchange;
  const target = parseTarget(request.url ?? '/', request.headers.host, domains);
  progress.target = target;
  const headers = decodedHeaders(withHoistedHeaders(request.headers, target.query));
  const operation = detectOperation(request.method ?? '', target, headers);
  if (operation === null) throw new S3Error('MethodNotAllowed');
  progress.operation = operation;
  return { target, operation, headers };
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** Node shows header bytes as Latin-1; most clients mean UTF-8, and what is not UTF-8 stays as it is. */
function decodedHeaders(wire: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(wire)) {
    if (value === undefined) continue;
    headers[name] = decodeHeader(Array.isArray(value) ? value.join(',') : value);
  }
  return headers;
}

function decodeHeader(value: string): string {
  if (!/[\x80-\xff]/.test(value)) return value;
  try {
    return UTF8.decode(Buffer.from(value, 'latin1'));
  } catch {
    return value;
  }
}

// --- stages: where ---------------------------------------------------------------------------------------------------

async function runWhereItBelongs(
  services: PipelineServices,
  authenticator: () => Authenticator,
  exchange: Exchange,
  parsed: Parsed,
  progress: Progress,
): Promise<void> {
  const { bucket } = parsed.target;
  // Set when this node was tried and its gate knew better than `locate`.
  let refusal: NotOwnerDetails | null = null;
  for (;;) {
    const routed: Routed =
      bucket === null || !isImplemented(parsed.operation)
        ? { kind: 'serve' }
        : await route(exchange, bucket, routeOptions(services, parsed.operation), refusal);
    progress.place = routed.kind === 'done' || routed.kind === 'unavailable' ? 'entry' : 'owner';
    switch (routed.kind) {
      case 'done':
        progress.status = routed.status;
        return;
      case 'serve':
        refusal = await serve(services, authenticator, exchange, parsed, progress);
        if (refusal === null) return;
        if (exchange.request.readableDidRead) throw unavailable('it has just moved');
        break;
      case 'not-owner':
        progress.status = NOT_OWNER_STATUS;
        refuseNotOwner(exchange, refusal ?? { epoch: services.mapEpoch(), owner: routed.owner, term: null });
        return;
      case 'absent':
        identify(authenticator(), exchange, parsed);
        throw new S3Error('NoSuchBucket');
      case 'unavailable':
        throw routed.outcomeUnknown ? outcomeUnknown() : unavailable(routed.reason);
    }
  }
}

function unavailable(reason: string): S3Error {
  return new S3Error('SlowDown', `The bucket cannot be served now: ${reason}. Please try again.`, {
    retryAfterSeconds: 1,
  });
}

/** Not SlowDown, which promises that nothing was applied (docs/ERRORS.md). */
function outcomeUnknown(): S3Error {
  const message =
    'The node that has the bucket gave no answer; whether the change was made is not known. Please try again.';
  return new S3Error('ServiceUnavailable', message, { retryAfterSeconds: 1 });
}

function routeOptions(services: PipelineServices, operation: OperationName): RouteOptions {
  const { self, forwarder, metrics } = services;
  return { self, forwarder, metrics, locate: (bucket) => locate(services, operation, bucket) };
}

/** An existing bucket is its owner's business; one that is to be made is its home's, known or not. */
function locate({ access, self }: PipelineServices, operation: OperationName, bucket: string): Whereabouts {
  const found = access.locate(bucket);
  if (operationSpec(operation).action !== 'create-bucket') return found;
  if (found.kind === 'local' || (found.kind === 'remote' && found.certain)) return found;
  const home = access.home?.(bucket) ?? null;
  if (home === null) return found.kind === 'absent' ? { kind: 'local' } : found;
  return home === self ? { kind: 'local' } : { kind: 'remote', node: home, certain: false };
}

// --- stages: who, and the work itself --------------------------------------------------------------------------------

/** Who asks; and what can be refused without looking into the bucket is. */
function identify(authenticator: Authenticator, exchange: Exchange, { target, operation }: Parsed): Authenticated {
  if (isUnauthenticated(operation)) return UNAUTHENTICATED;
  const { method = '', rawHeaders } = exchange.request;
  const auth = authenticator.authenticate({ method, target, rawHeaders });
  requireBeforeBucket(operation, auth.identity, target);
  return auth;
}

/** What the bucket itself says to the request: whose it is, and who may what. */
function judge(
  services: PipelineServices,
  exchange: Exchange,
  { operation, target, headers }: Parsed,
  auth: Authenticated,
  store: Store,
): Authorizer {
  const expected = headers['x-amz-expected-bucket-owner'];
  if (expected !== undefined) checkExpectedOwner(readBucketDocument(store), expected);
  const creates = createsObject(operation);
  return createAuthorizer({
    bucket: target.bucket ?? '',
    store,
    identity: auth.identity,
    headers,
    query: target.query,
    remoteAddress: exchange.origin.address,
    secureTransport: exchange.origin.secure,
    nowMs: services.clock.wallMs(),
    ...(creates === undefined ? {} : { createsObject: creates }),
  });
}

/** The same for another target. */
function judgeOf(
  services: PipelineServices,
  exchange: Exchange,
  parsed: Parsed,
  auth: Authenticated,
  store: Store,
): (target: Target) => Authorizer {
  return (target) => judge(services, exchange, { ...parsed, target }, auth, store);
}

/** For DeleteBucket, whose handler may not hold the bucket that it removes. */
async function authoriseOutside(
  services: PipelineServices,
  exchange: Exchange,
  parsed: Parsed,
  auth: Authenticated,
): Promise<void> {
  const { bucket } = parsed.target;
  if (bucket === null || operationSpec(parsed.operation).action !== 'delete-bucket') return;
  const held = await services.access.enter(bucket, 'read');
  try {
    const authorizer = judge(services, exchange, parsed, auth, held.store);
    requireOperation(parsed.operation, authorizer, held.store, parsed.target);
  } finally {
    held.release();
  }
}

/** @returns null when answered; what is known of the owner when this node turned out not to be it. */
async function serve(
  services: PipelineServices,
  authenticator: () => Authenticator,
  exchange: Exchange,
  parsed: Parsed,
  progress: Progress,
): Promise<NotOwnerDetails | null> {
  const { operation, target, headers } = parsed;
  await announceCors(services.access, exchange, target.bucket, headers);
  const auth = identify(authenticator(), exchange, parsed);
  if (!isImplemented(operation)) throw notImplemented(operation);
  const bucket = target.bucket ?? '';
  const context = { services, bucket, request: { exchange, operation, target, headers, auth } };
  const row = HANDLERS[operation];
  let held: HeldDataset | null = null;
  let moment: Asked | null = null;
  let unwatch = () => {};
  let work: Promise<S3Response> | null = null;
  const timing = services.slowAnswers ?? SLOW_ANSWER_TIMING;
  try {
    let answer: S3Response;
    if (row.gate === 'none') {
      await authoriseOutside(services, exchange, parsed, auth);
      answer = await row.run({ ...context, key: target.key ?? '' });
    } else {
      held = await services.access.enter(bucket, row.gate);
      unwatch = endWhenTaken(exchange, held);
      setCorsHeaders(exchange, held.store, headers);
      const address = snapshotAddress(operation, target);
      if (address)
        moment = await momentOf(address, target, held, judgeOf(services, exchange, parsed, auth, held.store));
      const dataset = moment?.dataset ?? held;
      const about = moment ? { ...parsed, target: moment.asked } : parsed;
      const authorizer = judge(services, exchange, about, auth, dataset.store);
      requireOperation(operation, authorizer, dataset.store, about.target, moment?.historic);
      const key = moment?.key ?? target.key ?? '';
      const running = runOnDataset(row, { ...context, key, dataset, authorizer });
      work = running;
      answer = row.slow ? await answerSlowly(running, lateError(services, exchange, progress), timing) : await running;
    }
    await answerWith(services, exchange, answer, progress);
    return null;
  } catch (error) {
    if (isZringError(error, 'NOT_OWNER') && !exchange.response.headersSent)
      return notOwnerDetails(services, error.details);
    throw error;
  } finally {
    unwatch();
    // A client that goes during a slow answer leaves work behind that still uses the dataset.
    await work?.catch(() => undefined);
    moment?.release();
    held?.release();
  }
}

function notImplemented(operation: OperationName): S3Error {
  return new S3Error('NotImplemented', `${operation} is not implemented.`);
}

/** The dataset is taken away under a request that did not end in time: it is cut, so that the gate is given back. */
function endWhenTaken(exchange: Exchange, { signal }: HeldDataset): () => void {
  if (!signal) return () => undefined;
  const cut = () => exchange.request.socket.destroy();
  if (signal.aborted) cut();
  signal.addEventListener('abort', cut, { once: true });
  return () => signal.removeEventListener('abort', cut);
}

function notOwnerDetails(services: PipelineServices, details: unknown): NotOwnerDetails {
  const { epoch, owner, term } = (details ?? {}) as Partial<NotOwnerDetails>;
  return { epoch: epoch ?? services.mapEpoch(), owner: owner ?? null, term: term ?? null };
}

async function answerWith(
  services: PipelineServices,
  exchange: Exchange,
  answer: S3Response,
  progress: Progress,
): Promise<void> {
  progress.status = answer.status;
  const { bytes } = await writeResponse(exchange, services.self, answer);
  services.metrics.s3SentBytes.inc(bytes);
}

// --- the end of a failure --------------------------------------------------------------------------------------------

async function answerError(
  services: PipelineServices,
  exchange: Exchange,
  error: unknown,
  progress: Progress,
): Promise<void> {
  const { response, requestId } = exchange;
  const fault = toS3Error(error);
  const cut = response.headersSent;
  const gone = response.destroyed;
  if (!gone || !cut) progress.status = cut ? progress.status : fault.status;
  logFault(services.log, { requestId, operation: progress.operation, code: fault.code, cut, gone }, fault);
  if (gone) return;
  if (cut) {
    response.destroy();
    return;
  }
  try {
    await writeResponse(exchange, services.self, errorResponse(exchange, services.self, fault, progress.target));
  } catch (cause) {
    services.log.debug({ requestId, err: cause }, 'the answer could not be written');
    response.destroy();
  }
}

/** For an answer whose head has gone out as 200 already. */
function lateError(services: PipelineServices, exchange: Exchange, progress: Progress): (error: unknown) => string {
  return (error) => {
    const fault = toS3Error(error);
    const facts = { requestId: exchange.requestId, operation: progress.operation, code: fault.code, late: true };
    logFault(services.log, { ...facts, gone: exchange.response.destroyed }, fault);
    return String(errorResponse(exchange, services.self, fault, progress.target).body ?? '');
  };
}

/** A client that goes away, or is told no, is everyday; what this node could not do is not. */
function logFault(log: Logger, facts: Record<string, unknown>, fault: S3Error): void {
  if (facts.gone || fault.status < 500) log.debug({ ...facts, err: fault }, 'request refused');
  else if (fault.status === 500) log.error({ ...facts, err: fault.cause ?? fault }, 'request failed');
  else log.info({ ...facts, err: fault }, 'request cannot be served now');
}
