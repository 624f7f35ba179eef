// Sessions of real clients through a node that does not own the bucket: plain HTTP, storage in folders.
import { after, before, describe, test } from 'node:test';
import { part } from '../../support/parts.ts';
import { awsCliSession, awsCliVersions } from './aws-cli.ts';
import { boto3Session } from './boto3.ts';
import { rcloneSession, rcloneVersions } from './rclone.ts';
import { resticSession } from './restic.ts';
import { s3cmdSession } from './s3cmd.ts';
import { s3fsSession } from './s3fs.ts';
import { copyBetweenOwners, sdkSession, sdkVersions } from './sdk.ts';
import { type Subject, startSubject } from './subject.ts';

describe('clients over HTTP', part('redis-server'), () => {
  let subject: Subject;
  before(async () => {
    subject = await startSubject({ storage: 'dir' });
  });
  after(() => subject?.close());

  test('AWS SDK for JavaScript', () => sdkSession(subject));
  test('AWS SDK for JavaScript: versions', () => sdkVersions(subject));
  test('a copy between buckets of different owners', () => copyBetweenOwners(subject));
  test('AWS CLI', part('aws'), () => awsCliSession(subject));
  test('AWS CLI: versions', part('aws'), () => awsCliVersions(subject));
  test('boto3', part('boto3'), () => boto3Session(subject));
  test('rclone', part('rclone'), () => rcloneSession(subject));
  test('rclone: versions', part('rclone'), () => rcloneVersions(subject));
  test('s3cmd', part('s3cmd'), () => s3cmdSession(subject));
  test('restic', part('restic'), () => resticSession(subject));
  test('s3fs', part('s3fs'), () => s3fsSession(subject));
});
