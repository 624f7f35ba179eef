// XML documents of clients as a small tree, under hard limits: size, depth, number of elements; no DOCTYPE (so no
// entities but the five and no external anything), no processing instructions. Every fault is MalformedXML.
// It knows nothing of S3's documents (see requests.ts).
import { SaxesParser } from 'saxes';
import { S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';

export interface XmlElement {
  /** Local name; a namespace prefix is dropped, for S3 accepts its documents with and without one. */
  readonly name: string;
  readonly children: readonly XmlElement[];
  /** Character data of the element itself, untrimmed. */
  readonly text: string;
  /** Value of the attribute `type` of any prefix (`xsi:type`), the only one that a document of S3 has. */
  readonly type?: string;
}

interface Building {
  name: string;
  type?: string;
  children: Building[];
  text: string;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** The root element. `bytesMax` beyond: MaxMessageLengthExceeded (the reader of the body should have refused it). */
export function parseXml(body: Buffer, bytesMax: number): XmlElement {
  if (body.length > bytesMax) throw new S3Error('MaxMessageLengthExceeded');
  return parse(decode(body));
}

function decode(body: Buffer): string {
  try {
    return UTF8.decode(body);
  } catch (cause) {
    throw malformed('not UTF-8', cause);
  }
}

function parse(source: string): XmlElement {
  const { text, version } = prepared(source);
  const parser = new SaxesParser({ position: false, forceXMLVersion: true, defaultXMLVersion: version });
  const open: Building[] = [];
  let root: Building | null = null;
  let elements = 0;
  // A handler that throws leaves saxes mid-way; the parser is dropped then, never used again.
  parser.on('error', (error) => {
    throw malformed(error.message, error);
  });
  parser.on('doctype', () => {
    throw malformed('DOCTYPE is refused');
  });
  parser.on('processinginstruction', () => {
    throw malformed('processing instructions are refused');
  });
  parser.on('xmldecl', (declaration) => {
    const encoding = declaration.encoding?.toLowerCase();
    if (encoding !== undefined && encoding !== 'utf-8' && encoding !== 'us-ascii') throw malformed('encoding');
  });
  parser.on('opentag', (tag) => {
    elements += 1;
    if (elements > LIMITS.xmlElementsMax.value) throw malformed('too many elements');
    if (open.length >= LIMITS.xmlDepthMax.value) throw malformed('nested too deeply');
    const element: Building = { name: localName(tag.name), children: [], text: '' };
    for (const [name, value] of Object.entries(tag.attributes)) {
      if (localName(name) !== 'type' || name.startsWith('xmlns:')) continue;
      if (element.type !== undefined) throw malformed('two types');
      element.type = value;
    }
    const parent = open.at(-1);
    if (parent === undefined) root = element;
    else parent.children.push(element);
    open.push(element);
  });
  parser.on('closetag', () => {
    open.pop();
  });
  const append = (data: string) => {
    const current = open.at(-1);
    if (current !== undefined) current.text += data;
  };
  parser.on('text', append);
  parser.on('cdata', append);
  parser.write(text).close();
  if (root === null) throw malformed('no root element');
  return root;
}

function localName(name: string): string {
  return name.slice(name.indexOf(':') + 1);
}

/** References to characters that XML 1.0 has no place for. S3 writes them for such keys, so it must read them. */
const CONTROL_REFERENCE = /&#(?:x0*(?:[1-8bcef]|1[0-9a-f])|0*(?:[1-8]|1[124-9]|2[0-9]|3[01]));/i;

/** What XML 1.1 reads differently from 1.0: C1 controls may not stand raw, and two more characters are line ends. */
const DIFFERS_IN_1_1 = /[\u007f-\u009f\u2028]/g;

/**
 * XML 1.0, but for documents with such references: those are read as 1.1, with the characters that it would refuse or
 * fold into line feeds turned into references first (not in CDATA, where a reference is none: then 1.0 refuses it).
 */
function prepared(text: string): { text: string; version: '1.0' | '1.1' } {
  if (!CONTROL_REFERENCE.test(text) || text.includes('<![CDATA[')) return { text, version: '1.0' };
  return { text: text.replace(DIFFERS_IN_1_1, (c) => `&#x${c.charCodeAt(0).toString(16)};`), version: '1.1' };
}

function malformed(reason: string, cause?: unknown): S3Error {
  return new S3Error('MalformedXML', undefined, { cause: cause ?? new Error(reason) });
}

/** Children by name, in order. */
export function childrenOf(element: XmlElement, name: string): readonly XmlElement[] {
  return element.children.filter((child) => child.name === name);
}

/** Text of the only child of that name; undefined when absent; MalformedXML when repeated or not plain text. */
export function childText(element: XmlElement, name: string): string | undefined {
  const [first, second] = childrenOf(element, name);
  if (first === undefined) return undefined;
  if (second !== undefined || first.children.length > 0) throw malformed(`${name} is not a single text`);
  return first.text;
}

export function requireRoot(element: XmlElement, name: string): void {
  if (element.name !== name) throw malformed(`expected ${name}`);
}
