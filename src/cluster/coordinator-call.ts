// One coordinator call as data: what the embedded socket carries, and a Coordinator that turns methods into such calls.
// The two ends share this file, so neither can drift from the interface.
import type { Coordinator, Hint } from './coordinator.ts';

export type CallMethod = Exclude<keyof Coordinator, 'kind' | 'onHint' | 'onAvailability' | 'close'>;

export type Call = { [M in CallMethod]: { readonly method: M; readonly args: Parameters<Coordinator[M]> } }[CallMethod];

/** The value a call resolves to. */
export type CallValue<M extends CallMethod> = Awaited<ReturnType<Coordinator[M]>>;

/** Calls that never change anything: a lost reply leaves nothing in doubt, so they only ever fail as UNAVAILABLE. */
const READS: ReadonlySet<CallMethod> = new Set<CallMethod>([
  'state',
  'readMap',
  'mapStamp',
  'leases',
  'readRecord',
  'changesSince',
  'readCredentials',
]);

export function isRead(method: CallMethod): boolean {
  return READS.has(method);
}

/** A page of changes is never longer, whatever was asked: it is one atomic step, and one message. */
export const CHANGES_PAGE_MAX = 5000;

/** Entries in one offer: one atomic step. */
export const OFFER_MAX = 100;
export const STORED_CREDENTIAL_CHARACTERS_MAX = 16 << 10;

export interface CallPort {
  call<M extends CallMethod>(method: M, ...args: Parameters<Coordinator[M]>): Promise<CallValue<M>>;
  onHint(listener: (hint: Hint) => void): () => void;
  onAvailability(listener: (available: boolean) => void): () => void;
  close(): Promise<void>;
}

/** The embedded coordinator as its users see it, over whatever carries the calls. */
export function coordinatorOver(port: CallPort): Coordinator {
  return {
    kind: 'embedded',
    state: () => port.call('state'),
    declareRegress: (seen) => port.call('declareRegress', seen),
    markReported: (node, incarnation) => port.call('markReported', node, incarnation),
    readMap: () => port.call('readMap'),
    mapStamp: () => port.call('mapStamp'),
    commitMap: (expectedEpoch, map) => port.call('commitMap', expectedEpoch, map),
    acquireLease: (node, instance, ttlMs, info, disk) =>
      port.call('acquireLease', node, instance, ttlMs, info, disk ?? null),
    releaseLease: (node, instance) => port.call('releaseLease', node, instance),
    leases: () => port.call('leases'),
    readRecord: (dataset) => port.call('readRecord', dataset),
    casRecord: (dataset, expectedTag, next) => port.call('casRecord', dataset, expectedTag, next),
    changesSince: (cursor, limit) => port.call('changesSince', cursor, limit),
    readCredentials: (knownStamp) => port.call('readCredentials', knownStamp),
    offerCredentials: (offers) => port.call('offerCredentials', offers),
    onHint: (listener) => port.onHint(listener),
    onAvailability: (listener) => port.onAvailability(listener),
    close: () => port.close(),
  };
}
