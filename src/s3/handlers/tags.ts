// Tags of objects and buckets: what a valid set is, how it travels in x-amz-tagging and in condition keys of policies.
// Pure; documents are xml/tagging.ts, operations tagging.ts. Tags are kept as `attributes.tags` of a version and as the
// document `tagging` of a bucket, and shown by key, so that one set always reads the same.
// Source: Amazon S3 User Guide, Categorizing your objects using tags; AWS tagging rules (regular expression of the API).
import { invalidArgument, S3Error } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { decodeComponent } from '../target.ts';

export type Tags = Readonly<Record<string, string>>;

export interface Tag {
  readonly key: string;
  readonly value: string;
}

export const TAGGING_HEADER = 'x-amz-tagging';

/** Letters, spaces and digits of every script, and these signs. */
const ALLOWED = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

export function objectTags(list: readonly Tag[]): Tags {
  return requireTags(list, LIMITS.objectTagsMax.value, 'Object tags cannot be greater than');
}

export function bucketTags(list: readonly Tag[]): Tags {
  return requireTags(list, LIMITS.bucketTagsMax.value, 'Bucket tag count cannot be greater than');
}

function requireTags(list: readonly Tag[], max: number, tooMany: string): Tags {
  if (list.length > max) throw new S3Error('InvalidTag', `${tooMany} ${max}`);
  for (const { key, value } of list) requireTag(key, value);
  // Not by assignment: a tag may be called __proto__.
  const tags = Object.fromEntries(list.map(({ key, value }) => [key, value]));
  if (Object.keys(tags).length !== list.length) {
    const seen = new Set<string>();
    const twice = list.find(({ key }) => seen.size === seen.add(key).size);
    throw new S3Error('InvalidTag', 'Cannot provide multiple Tags with the same key', {
      fields: { TagKey: twice?.key ?? '' },
    });
  }
  return tags;
}

/** Lengths in UTF-16, as S3 counts them. */
function requireTag(key: string, value: string): void {
  if (key === '' || key.length > LIMITS.tagKeyCharactersMax.value || !ALLOWED.test(key)) {
    throw new S3Error('InvalidTag', 'The TagKey you have provided is invalid', { fields: { TagKey: key } });
  }
  if (/^aws:/i.test(key)) throw new S3Error('InvalidTag', 'System tags cannot be added/updated by requester');
  if (value.length > LIMITS.tagValueCharactersMax.value || !ALLOWED.test(value)) {
    throw new S3Error('InvalidTag', 'The TagValue you have provided is invalid', {
      fields: { TagKey: key, TagValue: value },
    });
  }
}

/** The tags that x-amz-tagging gives (`a=1&b=two+words`); undefined when there is no such header, or it is empty. */
export function readTaggingHeader(headers: Readonly<Record<string, string>>): Tags | undefined {
  const header = headers[TAGGING_HEADER];
  if (header === undefined || header === '') return undefined;
  const list = header
    .split('&')
    .filter((part) => part !== '')
    .map((part): Tag => {
      const at = part.indexOf('=');
      return at < 0
        ? { key: decode(part, header), value: '' }
        : { key: decode(part.slice(0, at), header), value: decode(part.slice(at + 1), header) };
    });
  if (new Set(list.map(({ key }) => key)).size !== list.length) throw malformedHeader(header);
  return objectTags(list);
}

function decode(text: string, header: string): string {
  // Only what is encoded: decodeComponent would take Latin-1 characters for bytes.
  if (/[^ -~]/.test(text)) throw malformedHeader(header);
  try {
    return decodeComponent(text, true);
  } catch {
    throw malformedHeader(header);
  }
}

function malformedHeader(header: string): S3Error {
  return invalidArgument(
    "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
    TAGGING_HEADER,
    header,
  );
}

/** The other way round. */
export function taggingHeader(tags: Tags): string {
  return tagList(tags)
    .map(({ key, value }) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`)
    .join('&');
}

export function tagList(tags: Tags | undefined): Tag[] {
  return Object.entries(tags ?? {})
    .map(([key, value]) => ({ key, value }))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** For `Resource.conditions` of the authorizer: the tags that the request would set. */
export function requestTagConditions(tags: Tags | undefined): Record<string, string> {
  const list = tagList(tags);
  return Object.fromEntries(list.map(({ key, value }) => [`s3:requestobjecttag/${key}`, value]));
}
