// A small valid configuration to vary, and parsing with what tests own.
import { type ParseResult, parseConfig } from '../../src/config/parse.ts';
import type { Config, ConfigFault } from '../../src/config/types.ts';

export const ENV = { ZRING_SECRET: 'cluster-secret-of-32-characters!', ZRING_ADMIN_KEY: 'admin-secret-key' };

/** The example of the design, word for word: variables stand unquoted inside braces. */
export const SAMPLE = `cluster:
  name: lab
  revision: 1                       # the map changes only when this grows; same revision with other content is an error
  secret: \${ZRING_SECRET}
  coordinator: redis://10.0.0.5:6379/0    # several hosts: redis+sentinel://…/mymaster. 'embedded' for one machine
  copies: 2
  lease: 10s
nodes:
  - { id: a, zone: rack1, weight: 1, storage: zfs:tank/zring, s3: 10.0.0.1:9000, peer: 10.0.0.1:9001, admin: 10.0.0.1:9002 }
  - { id: b, zone: rack2, weight: 1, storage: zfs:tank/zring, s3: 10.0.0.2:9000, peer: 10.0.0.2:9001, admin: 10.0.0.2:9002 }
credentials:
  - { accessKey: admin, secretKey: \${ZRING_ADMIN_KEY}, allow: [{ buckets: "*", actions: "*" }] }
`;

export function parse(
  text: string,
  options: { env?: NodeJS.ProcessEnv; files?: Record<string, string> } = {},
): ParseResult {
  return parseConfig(text, {
    path: '/etc/zring/zring.yaml',
    env: options.env ?? ENV,
    readSecret: (path) => {
      const content = options.files?.[path];
      if (content === undefined) throw new Error('no such file');
      return content;
    },
  });
}

export function good(text: string, options: Parameters<typeof parse>[1] = {}): Config {
  const result = parse(text, options);
  if ('faults' in result) throw new Error(`unexpected faults: ${JSON.stringify(result.faults, null, 1)}`);
  return result.config;
}

export function faultsOf(text: string, options: Parameters<typeof parse>[1] = {}): readonly ConfigFault[] {
  const result = parse(text, options);
  if ('config' in result) throw new Error('expected faults, but the file was accepted');
  return result.faults;
}

/** Replaces text that must be there, so that a changed sample cannot hollow out a test. */
export function edit(from: string, to: string, text: string = SAMPLE): string {
  if (!text.includes(from)) throw new Error(`the sample does not contain ${from}`);
  return text.replace(from, () => to);
}
