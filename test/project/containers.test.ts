// Dockerfile and compose.yaml: no engine runs here, so their text is checked against everything that it names.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse as parseYaml } from 'yaml';
import { COMPOSE, ROOT, repositoryText } from './repository.ts';

interface Instruction {
  readonly name: string;
  readonly value: string;
  readonly stage: string;
}

function dockerfile(): Instruction[] {
  const instructions: Instruction[] = [];
  let stage = '';
  const lines = repositoryText('Dockerfile')
    .replace(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n');
  for (const line of lines.filter((text) => text.trim() !== '')) {
    const [, name = '', value = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? assert.fail(`not an instruction: ${line}`);
    if (name === 'FROM') stage = / AS (\S+)$/.exec(value)?.[1] ?? '';
    instructions.push({ name, value, stage });
  }
  return instructions;
}

const DOCKERFILE = dockerfile();
const values = (name: string, stage?: string) =>
  DOCKERFILE.filter(
    (instruction) => instruction.name === name && (stage ?? instruction.stage) === instruction.stage,
  ).map(({ value }) => value);
const PACKAGE = JSON.parse(repositoryText('package.json')) as {
  engines: { node: string };
  bin: { zring: string };
  scripts: Record<string, string>;
};

describe('Dockerfile', () => {
  test('stages follow from each other; the last one, which is built when none is named, is not root', () => {
    const stages: string[] = [];
    for (const value of values('FROM')) {
      const [image = '', , name = ''] = value.split(' ');
      if (!stages.includes(image)) assert.match(image, /^node:20-bookworm-slim$/);
      stages.push(name);
    }
    assert.deepEqual(stages, ['build', 'base', 'zfs', 'zring']);
    assert.deepEqual(values('USER', 'zring'), ['node']);
    assert.deepEqual(values('USER', 'zfs'), ['root']);
    assert.ok(PACKAGE.engines.node.startsWith('>=20'), 'the image fits engines');
  });

  test('everything it copies exists, and .dockerignore lets it through', () => {
    const allowed = repositoryText('.dockerignore').split('\n');
    assert.equal(
      allowed.find((line) => line !== '' && !line.startsWith('#')),
      '*',
      'nothing else gets into the context',
    );
    const sources = values('COPY')
      .filter((value) => !value.startsWith('--from'))
      .flatMap((value) => value.split(' ').slice(0, -1));
    assert.ok(sources.length >= 8);
    for (const source of sources) {
      assert.ok(allowed.includes(`!${source.replace(/^\.\//, '')}`), `${source} is in .dockerignore`);
      if (!source.includes('*')) assert.ok(existsSync(join(ROOT, source)), `${source} exists`);
    }
  });

  test('what the build stage makes is what the image runs', () => {
    const [workdir] = values('WORKDIR', 'build');
    assert.deepEqual(
      values('COPY', 'base').filter((value) => value.startsWith('--from=build')),
      [`--from=build ${workdir}/node_modules ./node_modules`, `--from=build ${workdir}/dist ./dist`],
    );
    assert.match(
      values('RUN', 'build').join('\n'),
      /npm install --no-save[^\n]*\n.*npm run build.*npm prune --omit=dev/,
    );
    const { outDir } = (JSON.parse(repositoryText('tsconfig.build.json')) as { compilerOptions: { outDir: string } })
      .compilerOptions;
    assert.equal(outDir, 'dist');
    assert.equal(PACKAGE.scripts.build, 'tsc -p tsconfig.build.json');
    const program = `${values('WORKDIR', 'base')[0]}/${PACKAGE.bin.zring}`;
    assert.deepEqual(JSON.parse(values('ENTRYPOINT', 'base')[0] ?? ''), ['node', program]);
    assert.match(values('RUN', 'base')[0] ?? '', new RegExp(`ln -s ${program} /usr/local/bin/zring`));
  });

  test('data goes to a folder that the user owns, and signals to the program itself', () => {
    const [volume = ''] = values('VOLUME', 'base');
    assert.match(values('RUN', 'base')[0] ?? '', new RegExp(`install -d .*-o node -g node ${volume}`));
    assert.deepEqual(values('STOPSIGNAL'), ['SIGTERM']);
    assert.ok(values('ENTRYPOINT')[0]?.startsWith('['), 'exec form: no shell in between');
    for (const { storage } of COMPOSE.nodes) assert.deepEqual(storage, { kind: 'dir', location: volume });
  });

  test('the ports are those that the compose configuration binds', () => {
    const exposed = (values('EXPOSE')[0] ?? '').split(' ').map(Number);
    for (const { listen } of COMPOSE.nodes) {
      assert.deepEqual([listen.s3.port, listen.peer.port, listen.admin.port], exposed);
      assert.ok(values('ENV').includes(`ZRING_ADMIN_PORT=${listen.admin.port}`));
      assert.equal(listen.admin.host, '0.0.0.0', 'the health check comes over loopback');
    }
  });

  const [, command = '[]'] = /CMD (\[.*\])$/.exec(values('HEALTHCHECK')[0] ?? '') ?? [];
  for (const [answer, exit] of [
    [200, 0],
    [503, 1],
    [null, 1],
  ] as const) {
    test(`the health check ends with ${exit} when /ready answers ${answer ?? 'nothing'}`, async () => {
      const server = createServer((request, response) => {
        response.writeHead(request.url === '/ready' ? (answer ?? 500) : 404).end();
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      if (answer === null) await new Promise((resolve) => server.close(resolve));
      const [node, ...args] = JSON.parse(command) as string[];
      assert.equal(node, 'node');
      const child = spawn(process.execPath, args, { env: { ZRING_ADMIN_PORT: String(port) }, stdio: 'inherit' });
      const [code] = await once(child, 'exit');
      server.close();
      assert.equal(code, exit);
    });
  }
});

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { condition: string }>>;
}

describe('compose.yaml', () => {
  const compose = parseYaml(repositoryText('compose.yaml'), { merge: true }) as {
    readonly services: Readonly<Record<string, Service>>;
    readonly volumes: Readonly<Record<string, null>>;
  };
  const { redis, ...nodes } = compose.services;

  test('one service a node, named as its host, with its id', () => {
    assert.deepEqual(
      Object.keys(nodes),
      COMPOSE.nodes.map(({ id }) => id),
    );
    for (const node of COMPOSE.nodes) {
      assert.equal(nodes[node.id]?.environment?.ZRING_NODE, node.id);
      for (const { host } of [node.s3, node.peer, node.admin]) assert.equal(host, node.id);
    }
  });

  test('every variable of the configuration is passed on, and required', () => {
    const wanted = [...repositoryText('config/compose/zring.yaml').matchAll(/\$\{([A-Z_]+)\}/g)].map(
      ([, name]) => name ?? '',
    );
    assert.deepEqual([...new Set(wanted)].sort(), ['ZRING_ADMIN_KEY', 'ZRING_SECRET']);
    for (const service of Object.values(nodes)) {
      for (const name of wanted) assert.match(service.environment?.[name] ?? '', new RegExp(`^\\$\\{${name}:\\?`));
    }
  });

  test('the coordinator is the Redis service, which keeps its data and is waited for', () => {
    const { coordinator } = COMPOSE.cluster;
    assert.equal(coordinator.kind === 'redis' && new URL(coordinator.url).host, 'redis:6379');
    assert.match((redis?.command ?? []).join(' '), /^redis-server .*--appendonly yes/);
    assert.deepEqual(redis?.volumes, ['redis:/data']);
    for (const service of Object.values(nodes)) assert.equal(service.depends_on?.redis?.condition, 'service_healthy');
  });

  test('published ports reach bound ones, each host port once, only from this machine', () => {
    const ports = Object.entries(nodes).flatMap(([id, { ports = [] }]) => ports.map((port) => ({ id, port })));
    const hostPorts = ports.map(({ id, port }) => {
      const [, host, inside] = /^127\.0\.0\.1:(\d+):(\d+)$/.exec(port) ?? assert.fail(`${id}: ${port}`);
      const listen = COMPOSE.nodes.find((node) => node.id === id)?.listen;
      assert.ok([listen?.s3.port, listen?.admin.port].includes(Number(inside)), `${id}: ${port}`);
      return host;
    });
    assert.equal(new Set(hostPorts).size, COMPOSE.nodes.length * 2);
  });

  test('volumes: the configuration folder, and one of its own for the data of each node', () => {
    const dataVolumes = Object.entries(nodes).map(([id, { volumes = [] }]) => {
      assert.deepEqual(volumes, ['./config/compose:/etc/zring:ro', `${id}:${values('VOLUME')[0]}`]);
      return id;
    });
    assert.deepEqual(Object.keys(compose.volumes).sort(), [...dataVolumes, 'redis'].sort());
    const command = JSON.parse(values('CMD', 'base')[0] ?? '') as string[];
    assert.deepEqual(command, ['serve', '--config', '/etc/zring/zring.yaml']);
  });
});
