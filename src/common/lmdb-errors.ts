// What goes wrong with an LMDB file, in the words of the project. Knows lmdb-js's way of telling, not lmdb itself.
import { ZringError } from './errors.ts';

export function closedError(path: string): ZringError {
  return new ZringError('STORAGE_UNAVAILABLE', `${path} is closed`, { subject: path });
}

/** lmdb-js rejects with "Commit failed" and a promise that rejects with the reason; unheard, that would end the process. */
export async function commitReason(cause: unknown): Promise<unknown> {
  if (typeof cause !== 'object' || cause === null || !('commitError' in cause)) return cause;
  try {
    await cause.commitError;
    return cause;
  } catch (reason) {
    return reason;
  }
}
