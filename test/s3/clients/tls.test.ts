// The same sessions over TLS, where SDKs frame bodies with trailers; and pgBackRest, which speaks nothing else.
import { after, before, describe, test } from 'node:test';
import { part } from '../../support/parts.ts';
import { awsCliSession } from './aws-cli.ts';
import { boto3Session } from './boto3.ts';
import { pgbackrestSession } from './pgbackrest.ts';
import { rcloneSession } from './rclone.ts';
import { resticSession } from './restic.ts';
import { s3cmdSession } from './s3cmd.ts';
import { s3fsSession } from './s3fs.ts';
import { sdkSession } from './sdk.ts';
import { type Subject, startSubject } from './subject.ts';

describe('clients over TLS', part('redis-server', 'openssl'), () => {
  let subject: Subject;
  before(async () => {
    subject = await startSubject({ storage: 'dir', tls: true });
  });
  after(() => subject?.close());

  test('AWS SDK for JavaScript', () => sdkSession(subject));
  test('AWS CLI', part('aws'), () => awsCliSession(subject));
  test('boto3', part('boto3'), () => boto3Session(subject));
  test('rclone', part('rclone'), () => rcloneSession(subject));
  test('s3cmd', part('s3cmd'), () => s3cmdSession(subject));
  test('restic', part('restic'), () => resticSession(subject));
  test('s3fs', part('s3fs'), () => s3fsSession(subject));
  test('pgBackRest', part('pgbackrest'), () => pgbackrestSession(subject));
});
