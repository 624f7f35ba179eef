// The documents that S3 answers with, as text. Pure; values are escaped here and nowhere else.
export interface Owner {
  readonly id: string;
  readonly displayName: string;
}
