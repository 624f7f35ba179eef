// pgBackRest: a PostgreSQL server of its own archives its log and is backed up into a bucket, is destroyed, and comes
// back. Speaks TLS only.
import assert from 'node:assert/strict';
import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, DeleteBucketCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { ACCESS_KEY, SECRET_KEY } from '../../support/cluster.ts';
import { postgresFolder } from '../../support/detect.mjs';
import { program } from '../../support/parts.ts';
import { empty } from './sdk.ts';
import { type Place, run, type Subject } from './subject.ts';

const ROWS = 20_000;
const SUM = "select count(*) || ' ' || md5(string_agg(t, ',' order by i)) from rows";

export async function pgbackrestSession(subject: Subject): Promise<void> {
  const place = await subject.place('pgbackrest');
  await place.sdk.send(new CreateBucketCommand({ Bucket: place.bucket }));
  await place.created();
  const home = await mkdtemp(join(tmpdir(), 'zring-pg-'));
  const server = await postgresAt(home);
  try {
    const config = await writeConfig(subject, place, home);
    await server.ours(home);
    const pgbackrest = (...words: string[]) =>
      server.run(program('pgbackrest'), `--config=${config}`, '--stanza=main', ...words);
    await server.initialise(`${program('pgbackrest')} --config=${config} --stanza=main archive-push %p`);
    await server.start();
    await pgbackrest('stanza-create');
    // Has the server finish a log segment and waits until it is in the bucket.
    await pgbackrest('check');
    await server.query(`create table rows as select i, md5(i::text) t from generate_series(1, ${ROWS}) i`);
    await pgbackrest('backup', '--type=full');
    await server.query(`insert into rows select i, 'later' from generate_series(1, 10) i`);
    await pgbackrest('backup', '--type=incr');
    const info = JSON.parse(await pgbackrest('info', '--output=json'))[0];
    assert.deepEqual([info.status.code, info.backup.map(({ type }: { type: string }) => type)], [0, ['full', 'incr']]);
    const before = await server.query(SUM);
    await server.query('select pg_switch_wal()');

    await server.stop();
    await rm(server.data, { recursive: true });
    await mkdir(server.data, { mode: 0o700 });
    await server.ours(home);
    await pgbackrest('restore');
    await server.start();
    assert.equal(await server.query(SUM), before);
    await server.stop();

    await pgbackrest('stop');
    await pgbackrest('stanza-delete', '--force');
    const left = await place.sdk.send(new ListObjectsV2Command({ Bucket: place.bucket, Prefix: 'repo/backup/' }));
    assert.equal(left.KeyCount, 0);
    await empty(place.sdk, place.bucket);
    await place.sdk.send(new DeleteBucketCommand({ Bucket: place.bucket }));
    await place.deleted();
  } finally {
    await server.stop().catch(() => undefined);
    await rm(home, { recursive: true, force: true });
  }
}

async function writeConfig(subject: Subject, place: Place, home: string): Promise<string> {
  assert.ok(subject.caFile);
  await copyFile(subject.caFile, join(home, 'ca.pem'));
  for (const name of ['log', 'lock', 'spool']) await mkdir(join(home, name));
  const lines = [
    '[global]',
    'repo1-type=s3',
    'repo1-path=/repo',
    'repo1-bundle=y',
    'repo1-s3-endpoint=127.0.0.1',
    `repo1-storage-port=${place.port}`,
    `repo1-storage-ca-file=${join(home, 'ca.pem')}`,
    'repo1-s3-uri-style=path',
    'repo1-s3-region=us-east-1',
    `repo1-s3-bucket=${place.bucket}`,
    `repo1-s3-key=${ACCESS_KEY}`,
    `repo1-s3-key-secret=${SECRET_KEY}`,
    'repo1-retention-full=1',
    // Uncompressed the first bundle is larger than a part.
    'compress-type=none',
    'start-fast=y',
    `log-path=${join(home, 'log')}`,
    `lock-path=${join(home, 'lock')}`,
    `spool-path=${join(home, 'spool')}`,
    '[main]',
    `pg1-path=${join(home, 'data')}`,
    `pg1-socket-path=${home}`,
  ];
  const path = join(home, 'pgbackrest.conf');
  await writeFile(path, `${lines.join('\n')}\n`, { mode: 0o600 });
  return path;
}

/** A server on a socket in its folder. PostgreSQL refuses to run as root: root becomes the user of Debian's package. */
async function postgresAt(home: string) {
  const folder = postgresFolder();
  assert.ok(folder);
  const data = join(home, 'data');
  const root = process.getuid?.() === 0;
  const env = { PATH: process.env.PATH, LANG: 'C.UTF-8', HOME: home, PGHOST: home, PGDATABASE: 'postgres' };
  const runHere = async (command: string, ...words: string[]) => {
    const line = root ? [program('runuser'), '-u', 'postgres', '--', command, ...words] : [command, ...words];
    return (await run(line[0] ?? '', line.slice(1), { env, cwd: home })).stdout;
  };
  await chmod(home, 0o700);
  return {
    data,
    run: runHere,
    /** Everything in the folder belongs to the server's user. */
    async ours(path: string) {
      if (root) await run('chown', ['-R', 'postgres', path]);
    },
    async initialise(archive: string) {
      await runHere(join(folder, 'initdb'), '-D', data, '-A', 'trust', '--no-sync', '--locale=C', '-E', 'UTF8');
      const settings = [
        "listen_addresses = ''",
        `unix_socket_directories = '${home}'`,
        'fsync = off',
        'archive_mode = on',
        `archive_command = '${archive}'`,
      ];
      await writeFile(join(data, 'postgresql.auto.conf'), `${settings.join('\n')}\n`);
    },
    start: () => runHere(join(folder, 'pg_ctl'), '-D', data, '-w', '-l', join(home, 'log/server'), 'start'),
    stop: () => runHere(join(folder, 'pg_ctl'), '-D', data, '-w', '-m', 'fast', 'stop'),
    query: async (text: string) => (await runHere(join(folder, 'psql'), '-XAtq', '-c', text)).trim(),
  };
}
