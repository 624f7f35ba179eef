// Slow answers: an operation that may work for minutes before it can say anything (copies, completing an upload). When
// it takes long, the head goes out as 200 and white space keeps the client waiting; the outcome, an error included, is
// the document at the end. S3 does the same (CompleteMultipartUpload, CopyObject: "200 OK … error embedded in the body").
// Owns its timers only.
import { Readable } from 'node:stream';
import type { S3Response } from './types.ts';
import { XML_DECLARATION } from './xml/writer.ts';

export interface SlowAnswerTiming {
  /** Until then an answer is an ordinary one, with the status that it deserves. */
  readonly patienceMs: number;
  readonly everyMs: number;
}

/** Clients give up after 60 s without a byte (botocore's default), proxies often after 30 s. */
export const SLOW_ANSWER_TIMING: SlowAnswerTiming = { patienceMs: 15_000, everyMs: 10_000 };

/** @param failed the error document of a failure that comes too late for a status. */
export async function answerSlowly(
  work: Promise<S3Response>,
  failed: (error: unknown) => string,
  timing: SlowAnswerTiming,
): Promise<S3Response> {
  const early = await settledWithin(work, timing.patienceMs);
  if (early) return work;
  const body = Readable.from(document(work, failed, timing.everyMs), { objectMode: false });
  return { status: 200, headers: { 'content-type': 'application/xml' }, body };
}

async function* document(
  work: Promise<S3Response>,
  failed: (error: unknown) => string,
  everyMs: number,
): AsyncGenerator<Buffer> {
  // The declaration has to be the very first thing in a document, before any white space.
  yield Buffer.from(XML_DECLARATION);
  while (!(await settledWithin(work, everyMs))) yield Buffer.from(' ');
  const text = await work.then((answer) => String(answer.body ?? ''), failed);
  yield Buffer.from(text.startsWith(XML_DECLARATION) ? text.slice(XML_DECLARATION.length) : text);
}

function settledWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms, false);
    const settled = () => {
      clearTimeout(timer);
      resolve(true);
    };
    work.then(settled, settled);
  });
}
