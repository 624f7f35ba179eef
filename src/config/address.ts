// Network addresses as text: `host:port` with a DNS name, an IPv4 address or an IPv6 address in brackets. Pure.
// Node identity is never taken from here: ids come from the configuration, not from sockets or DNS.
import { isIPv4, isIPv6 } from 'node:net';
import type { Address } from './types.ts';
import type { Parsed } from './units.ts';

const HOSTNAME_BYTES_MAX = 253;
const LABEL = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;
const UNSPECIFIED = new Set(['0.0.0.0', '::']);

export function isHostname(text: string): boolean {
  return text.length <= HOSTNAME_BYTES_MAX && text.split('.').every((label) => LABEL.test(label));
}

/** Every address that can be bound; the host of an IPv6 address comes without brackets and in its shortest form. */
export function parseAddress(text: string): Parsed<Address> {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  if (!match) {
    const bare = text.split(':').length > 2 && !text.startsWith('[');
    return { problem: bare ? 'is an IPv6 address without brackets' : 'is not host:port' };
  }
  const [, ipv6, name = '', digits = ''] = match;
  const port = Number(digits);
  if (port < 1 || port > 65_535) return { problem: 'has a port outside 1 to 65535' };
  if (ipv6 !== undefined) {
    if (!isIPv6(ipv6) || ipv6.includes('%')) return { problem: 'has no IPv6 address in its brackets' };
    return { value: { host: new URL(`http://[${ipv6}]`).hostname.slice(1, -1), port } };
  }
  // A name of digits and dots alone that is no IPv4 address is a typing mistake, not a DNS name.
  if (/^[\d.]+$/.test(name) ? !isIPv4(name) : !isHostname(name)) {
    return { problem: 'has neither an IP address nor a DNS name before the port' };
  }
  return { value: { host: name.toLowerCase(), port } };
}

/** An address that others can connect to: never the unspecified one. */
export function parseAdvertised(text: string): Parsed<Address> {
  const parsed = parseAddress(text);
  if ('value' in parsed && UNSPECIFIED.has(parsed.value.host)) {
    return { problem: 'cannot be connected to by others (bind it with "listen" and advertise a real address)' };
  }
  return parsed;
}

/** `host:port`, IPv6 in brackets: the inverse of parseAddress. */
export function formatAddress(address: Address): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
