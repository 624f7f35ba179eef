// The part of aws4 that the tests use; the package has no types of its own.
declare module 'aws4' {
  export interface Request {
    host?: string;
    path?: string;
    method?: string;
    headers?: Record<string, string>;
    body?: string | Buffer;
    service?: string;
    region?: string;
    signQuery?: boolean;
  }
  export interface Credentials {
    accessKeyId: string;
    secretAccessKey: string;
  }
  export function sign<R extends Request>(request: R, credentials: Credentials): R;
  const aws4: { sign: typeof sign };
  export default aws4;
}
