// Redis addresses as the configuration writes them, taken apart. Pure; faults are the configuration's to report, here they
// are CONFIG_INVALID without quoting the text, which may carry a password.
//   redis://[user:pass@]host[:6379][/db]   rediss://…   redis+sentinel://[user:pass@]h1[:26379],h2/master[/db]
import { ZringError } from '../common/errors.ts';

export interface RedisEndpoint {
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  /** Name of the master when the hosts are sentinels. */
  readonly sentinelMaster: string | null;
  readonly tls: boolean;
  readonly username: string | null;
  readonly password: string | null;
  readonly db: number;
}

const URL_FORM =
  /^(?<scheme>redis|rediss|redis\+sentinel|rediss\+sentinel):\/\/(?:(?<user>[^@/:\s]*)(?::(?<pass>[^@/\s]*))?@)?(?<hosts>[^@/\s]+)(?:\/(?<path>\S*))?$/;

export function parseRedisUrl(url: string): RedisEndpoint {
  const parts = URL_FORM.exec(url)?.groups;
  if (!parts) throw invalid('is not redis://, rediss:// or redis+sentinel://');
  const { scheme = '', user = '', pass, hosts = '', path = '' } = parts;
  const sentinel = scheme.endsWith('+sentinel');
  const list = hosts.split(',').map((host) => parseHost(host, sentinel ? 26_379 : 6379));
  if (!sentinel && list.length > 1) throw invalid('names several hosts, which only redis+sentinel:// can');
  const [master = '', db = '', ...rest] = sentinel ? path.split('/') : ['', ...path.split('/')];
  if (rest.length > 0 || !/^\d{0,4}$/.test(db)) throw invalid('has a database that is not a number');
  if (sentinel && master === '') throw invalid('has no name of the master after the hosts');
  return {
    hosts: list,
    sentinelMaster: sentinel ? master : null,
    tls: scheme.startsWith('rediss'),
    username: user === '' ? null : decode(user),
    password: pass === undefined ? null : decode(pass),
    db: Number(db || 0),
  };
}

function parseHost(text: string, defaultPort: number): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (!host) throw invalid('names a host that is not host[:port]');
  return { host, port: Number(match?.[3] ?? defaultPort) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('has a user or password that is not percent-encoded');
  }
}

function invalid(why: string): ZringError {
  return new ZringError('CONFIG_INVALID', `the coordinator's address ${why}`);
}
