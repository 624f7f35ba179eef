// XML text from values: escaping and nesting, nothing of S3's documents. Pure.

export const S3_NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';
export const XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';

/** Anything but plain text: one of & < > ", a control character, U+FFFE or U+FFFF. */
const NEEDS_ESCAPE = /[^ !#-%'-;=?-\ufffd]/;

/**
 * Text content. Control characters become references (`&#xD;`): a bare carriage return would come back as a line
 * feed, and others may not stand in XML 1.0 at all. S3 does the same; clients that list such keys ask for
 * encoding-type=url. Lone surrogates cannot occur: keys are valid UTF-8.
 */
export function escapeText(value: string): string {
  if (!NEEDS_ESCAPE.test(value)) return value;
  let out = '';
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if (code === 0x26) out += '&amp;';
    else if (code === 0x3c) out += '&lt;';
    else if (code === 0x3e) out += '&gt;';
    else if (code === 0x22) out += '&quot;';
    else if (code < 0x20 || code >= 0xfffe) out += `&#x${code.toString(16).toUpperCase()};`;
    else out += value[at];
  }
  return out;
}

/** Element with text; null and undefined leave it out. */
export function leaf(name: string, value: string | number | boolean | null | undefined): string {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'string' ? escapeText(value) : String(value);
  return text === '' ? `<${name}/>` : `<${name}>${text}</${name}>`;
}

/** Element with children that are XML already. */
export function node(name: string, ...children: readonly string[]): string {
  const inner = children.join('');
  return inner === '' ? `<${name}/>` : `<${name}>${inner}</${name}>`;
}

/** Whole document; `namespace` null for the error document, which has none. */
export function document(name: string, namespace: string | null, ...children: readonly string[]): string {
  const inner = children.join('');
  const attribute = namespace === null ? '' : ` xmlns="${namespace}"`;
  return `${XML_DECLARATION}<${name}${attribute}${inner === '' ? '/>' : `>${inner}</${name}>`}`;
}

/** 2009-10-12T17:50:30.000Z */
export function isoDate(ms: number): string {
  return new Date(ms).toISOString();
}

/**
 * encoding-type=url: percent-encoding of the UTF-8 bytes, unreserved characters and `/` left as they are. A space is
 * `%20`, which every decoder understands ('+' is read as a plus by half of them).
 */
export function urlEncode(value: string): string {
  return encodeURIComponent(value)
    .replaceAll('%2F', '/')
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}
