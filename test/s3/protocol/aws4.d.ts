// The part of aws4 that the tests use; the package brings no types.
declare module 'aws4' {
  interface Request {
    service?: string;
    region?: string;
    method?: string;
    host?: string;
    path?: string;
    headers?: Record<string, string>;
    body?: string;
    signQuery?: boolean;
    doNotModifyHeaders?: boolean;
  }
  export function sign(
    request: Request,
    credentials: { accessKeyId: string; secretAccessKey: string },
  ): Request & { headers: Record<string, string>; path: string };
  const aws4: { sign: typeof sign };
  export default aws4;
}
