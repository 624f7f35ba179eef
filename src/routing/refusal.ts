// Refusals that the listeners themselves give, before any S3 code has seen the request: malformed heads, limits,
// time-outs. S3's error document with a request id, then the connection is closed. Pure text; who writes it is told.

export interface Refusal {
  /** Stable word for logs and the `reason` label of zring_s3_malformed_requests_total. */
  readonly reason: string;
  readonly status: number;
  /** S3 error code. */
  readonly code: string;
  readonly message: string;
}

export function refusal(reason: string, message: string, code = 'InvalidRequest', status = 400): Refusal {
  return { reason, status, code, message };
}

export function refusalDocument(refused: Refusal, requestId: string): string {
  return (
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
    `<Error><Code>${refused.code}</Code><Message>${escapeXml(refused.message)}</Message>` +
    `<RequestId>${requestId}</RequestId></Error>`
  );
}

export function refusalHeaders(requestId: string, body: string): Record<string, string> {
  return {
    'Content-Type': 'application/xml',
    'Content-Length': String(Buffer.byteLength(body)),
    'x-amz-request-id': requestId,
    Connection: 'close',
  };
}

/** A whole answer as bytes, for a socket that has no response object (the head could not be parsed). */
export function rawRefusal(refused: Refusal, requestId: string): string {
  const body = refusalDocument(refused, requestId);
  let head = `HTTP/1.1 ${refused.status} ${REASONS[refused.status] ?? 'Bad Request'}\r\n`;
  for (const [name, value] of Object.entries(refusalHeaders(requestId, body))) head += `${name}: ${value}\r\n`;
  return `${head}\r\n${body}`;
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  503: 'Service Unavailable',
};

function escapeXml(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').replace(/[<>&"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
