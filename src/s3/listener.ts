// The S3 front of a node as the composition root sees it: one function that takes exchanges, from the S3 listener and
// (forwarded ones) from the peer listener, and the peer methods that other nodes' handlers call here.
import type { PeerMethods } from '../common/peer.ts';
import { objectMethods } from './handlers/copy-source.ts';
import { createPipeline, type Pipeline, type PipelineServices } from './pipeline.ts';

export type S3Services = PipelineServices;

/** Never rejects: what fails is answered, or the connection is cut, and logged. */
export function createS3Handler(services: S3Services): Pipeline {
  return createPipeline(services);
}

/** To be registered on the peer listener. */
export function s3PeerMethods(services: Pick<S3Services, 'access'>): PeerMethods {
  return objectMethods(services.access);
}
