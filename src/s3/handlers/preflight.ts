// OptionsObject: the preflight request of a browser. Comes without credentials; answered from the bucket's CORS rules
// alone, so it tells nothing of objects: whether there is one does not matter.
import { readCorsRules } from '../cors/announce.ts';
import { CORS_METHODS, corsHeaders, matchingRule } from '../cors/rules.ts';
import { S3Error } from '../errors.ts';
import type { S3Response } from '../types.ts';
import type { DatasetContext } from './context.ts';

export async function optionsObject(context: DatasetContext): Promise<S3Response> {
  const { headers, target } = context.request;
  const { origin, 'access-control-request-method': method, 'access-control-request-headers': asked } = headers;
  if (origin === undefined || origin === '') {
    throw new S3Error('BadRequest', 'Insufficient information. Origin request header needed.');
  }
  if (method === undefined || !CORS_METHODS.some((one) => one === method)) {
    throw new S3Error('BadRequest', `Invalid Access-Control-Request-Method: ${method ?? 'null'}`);
  }
  const fields = { Method: method, ResourceType: target.key === null ? 'BUCKET' : 'OBJECT' };
  const rules = readCorsRules(context.dataset.store);
  if (rules.length === 0) {
    throw new S3Error('AccessForbidden', 'CORSResponse: CORS is not enabled for this bucket.', { fields });
  }
  const request = { origin, method, headers: headerNames(asked) };
  const rule = matchingRule(rules, request);
  if (rule !== null) return { status: 200, headers: corsHeaders(rule, request), body: '' };
  throw new S3Error(
    'AccessForbidden',
    "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
    { fields },
  );
}

function headerNames(list: string | undefined): string[] {
  const names = (list ?? '').split(',').map((name) => name.trim().toLowerCase());
  return names.filter((name) => name !== '');
}
