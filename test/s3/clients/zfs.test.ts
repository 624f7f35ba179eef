// The sessions that moved large and small objects, on zfs-fuse.
import { after, before, describe, test } from 'node:test';
import { part } from '../../support/parts.ts';
import { awsCliSession } from './aws-cli.ts';
import { boto3Session } from './boto3.ts';
import { rcloneSession } from './rclone.ts';
import { resticSession } from './restic.ts';
import { s3cmdSession } from './s3cmd.ts';
import { copyBetweenOwners, sdkSession } from './sdk.ts';
import { type Subject, startSubject } from './subject.ts';

describe('clients on zfs-fuse', part('zfs-fuse', 'redis-server'), () => {
  let subject: Subject;
  before(async () => {
    subject = await startSubject({ storage: 'zfs' });
  });
  after(() => subject?.close());

  test('AWS SDK for JavaScript', () => sdkSession(subject));
  test('a copy between buckets of different owners', () => copyBetweenOwners(subject));
  test('AWS CLI', part('aws'), () => awsCliSession(subject));
  test('boto3', part('boto3'), () => boto3Session(subject));
  test('rclone', part('rclone'), () => rcloneSession(subject));
  test('s3cmd', part('s3cmd'), () => s3cmdSession(subject));
  test('restic', part('restic'), () => resticSession(subject));
});
