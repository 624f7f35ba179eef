// The CORSConfiguration document, read and written. What S3 refuses in a rule is refused here, in its words.

import { CORS_METHODS, type CorsRule } from '../cors/rules.ts';
import { invalidArgument, S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { childrenOf, childText, parseXml, requireRoot, type XmlElement } from './reader.ts';
import { document, leaf, node, S3_NAMESPACE } from './writer.ts';

export function parseCorsConfiguration(body: Buffer): CorsRule[] {
  const root = parseXml(body, LIMITS.configurationBytesMax.value);
  requireRoot(root, 'CORSConfiguration');
  const rules = childrenOf(root, 'CORSRule');
  if (rules.length === 0 || rules.length !== root.children.length) throw new S3Error('MalformedXML');
  const max = LIMITS.corsRulesMax.value;
  if (rules.length > max) throw invalid(`The number of CORS rules should not exceed allowed limit of ${max} rules.`);
  const parsed = rules.map(corsRule);
  const ids = parsed.flatMap(({ id }) => id ?? []);
  if (new Set(ids).size !== ids.length) throw invalid('The ID of a CORS rule should be unique in the configuration.');
  return parsed;
}

const ELEMENTS: ReadonlySet<string> = new Set([
  'ID',
  'AllowedOrigin',
  'AllowedMethod',
  'AllowedHeader',
  'ExposeHeader',
  'MaxAgeSeconds',
]);

function corsRule(element: XmlElement): CorsRule {
  if (element.children.some(({ name }) => !ELEMENTS.has(name))) throw new S3Error('MalformedXML');
  const allowedOrigins = patterns(element, 'AllowedOrigin');
  const methods = texts(element, 'AllowedMethod');
  if (allowedOrigins.length === 0 || methods.length === 0) throw new S3Error('MalformedXML');
  const id = ruleId(element);
  const maxAgeSeconds = maxAge(element);
  return {
    ...(id === undefined ? {} : { id }),
    allowedOrigins,
    allowedMethods: methods.map(requireMethod),
    allowedHeaders: patterns(element, 'AllowedHeader'),
    exposeHeaders: texts(element, 'ExposeHeader').map(requireExposable),
    ...(maxAgeSeconds === undefined ? {} : { maxAgeSeconds }),
  };
}

/** They become header values: visible ASCII only. */
function texts(element: XmlElement, name: string): string[] {
  return childrenOf(element, name).map((child) => {
    const text = child.text.trim();
    if (child.children.length > 0 || text === '') throw new S3Error('MalformedXML');
    if (!/^[!-~]+$/.test(text)) throw invalid(`${name} "${text}" has characters that no header can carry.`);
    return text;
  });
}

function patterns(element: XmlElement, name: string): string[] {
  return texts(element, name).map((text) => {
    if (text.split('*').length > 2) throw invalid(`${name} "${text}" can not have more than one wildcard.`);
    return text;
  });
}

function requireMethod(text: string): CorsRule['allowedMethods'][number] {
  const method = CORS_METHODS.find((one) => one === text);
  if (method !== undefined) return method;
  throw invalid(`Found unsupported HTTP method in CORS config. Unsupported method is ${text}`);
}

function requireExposable(text: string): string {
  if (!text.includes('*')) return text;
  throw invalid(`ExposeHeader "${text}" contains wildcard. We currently do not support wildcard for ExposeHeader.`);
}

function ruleId(element: XmlElement): string | undefined {
  const id = childText(element, 'ID');
  if (id === undefined || id === '') return undefined;
  if (id.length <= LIMITS.corsRuleIdCharactersMax.value) return id;
  throw invalidArgument(
    `ID length should not exceed allowed limit of ${LIMITS.corsRuleIdCharactersMax.value}`,
    'ID',
    id,
  );
}

function maxAge(element: XmlElement): number | undefined {
  const text = childText(element, 'MaxAgeSeconds')?.trim();
  if (text === undefined || text === '') return undefined;
  const seconds = /^\d{1,10}$/.test(text) ? Number(text) : -1;
  if (seconds < 0 || seconds > 0x7fffffff) throw new S3Error('MalformedXML');
  return seconds;
}

function invalid(message: string): S3Error {
  return new S3Error('InvalidRequest', message);
}

export function corsConfigurationResult(rules: readonly CorsRule[]): string {
  return document('CORSConfiguration', S3_NAMESPACE, ...rules.map(ruleElement));
}

function ruleElement(rule: CorsRule): string {
  return node(
    'CORSRule',
    leaf('ID', rule.id),
    ...rule.allowedMethods.map((method) => leaf('AllowedMethod', method)),
    ...rule.allowedOrigins.map((origin) => leaf('AllowedOrigin', origin)),
    ...rule.allowedHeaders.map((header) => leaf('AllowedHeader', header)),
    ...rule.exposeHeaders.map((header) => leaf('ExposeHeader', header)),
    leaf('MaxAgeSeconds', rule.maxAgeSeconds),
  );
}
