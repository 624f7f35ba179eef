// The credential of a signature: `ACCESSKEY/20130524/us-east-1/s3/aws4_request`. Pure.
// One parser for the Authorization header and for X-Amz-Credential; they differ in the code and wording of faults.
import { S3Error } from '../errors.ts';

export interface CredentialScope {
  readonly accessKey: string;
  /** yyyymmdd */
  readonly day: string;
  readonly region: string;
  /** `day/region/s3/aws4_request`, as in the string to sign. */
  readonly scope: string;
}

/** Makes the error of its place: 'header' AuthorizationHeaderMalformed, 'query' AuthorizationQueryParametersError. */
export type CredentialPlace = 'header' | 'query';

export function malformedCredential(
  place: CredentialPlace,
  reason: string,
  fields: Readonly<Record<string, string>> = {},
): S3Error {
  return place === 'header'
    ? new S3Error('AuthorizationHeaderMalformed', `The authorization header is malformed; ${reason}`, { fields })
    : new S3Error('AuthorizationQueryParametersError', `Error parsing the X-Amz-Credential parameter; ${reason}`, {
        fields,
      });
}

/**
 * The region is strict, as S3's: another one is refused with the expected one in <Region>, from which clients
 * (botocore, the AWS CLI) correct themselves. An access key cannot hold a slash.
 */
export function parseCredential(text: string, expectedRegion: string, place: CredentialPlace): CredentialScope {
  const parts = text.split('/');
  const [accessKey, day, region, service, terminal] = parts;
  if (
    parts.length !== 5 ||
    accessKey === undefined ||
    accessKey === '' ||
    day === undefined ||
    region === undefined ||
    service === undefined ||
    terminal === undefined
  ) {
    throw malformedCredential(
      place,
      'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
    );
  }
  if (terminal !== 'aws4_request') {
    throw malformedCredential(place, `incorrect terminal "${terminal}". This endpoint uses "aws4_request".`);
  }
  if (service !== 's3') {
    throw malformedCredential(place, `incorrect service "${service}". This endpoint belongs to "s3".`);
  }
  if (region !== expectedRegion) {
    throw malformedCredential(place, `the region '${region}' is wrong; expecting '${expectedRegion}'`, {
      Region: expectedRegion,
    });
  }
  if (!/^\d{8}$/.test(day)) {
    throw malformedCredential(
      place,
      `incorrect date format "${day}". This date in the credential must be in the format "yyyyMMdd".`,
    );
  }
  return { accessKey, day, region, scope: `${day}/${region}/s3/aws4_request` };
}
