// Secrets: a text (usually `${NAME}`, expanded already), `file:/path`, or a list of these for rotation. Reading a file is
// the caller's business (an argument), and no secret ever appears in a problem's text.

/** @returns the file's text; throws with a reason that can be shown. */
export type ReadSecret = (path: string) => string;

export const SECRET_LIST_MAX = 4;
export const SECRET_CHARACTERS_MAX = 1024;

export interface SecretProblem {
  /** Index in the list; null when the value is no list. */
  readonly at: number | null;
  readonly problem: string;
}

export function readSecrets(
  value: unknown,
  read: ReadSecret,
  charactersMin: number,
): { readonly secrets: readonly string[]; readonly problems: readonly SecretProblem[] } {
  const secrets: string[] = [];
  const problems: SecretProblem[] = [];
  const list = Array.isArray(value) ? value : [value];
  if (list.length === 0) problems.push({ at: null, problem: 'is an empty list' });
  if (list.length > SECRET_LIST_MAX) problems.push({ at: null, problem: 'is a list that is too long' });
  list.forEach((item: unknown, i) => {
    const result = readOne(item, read, charactersMin);
    if ('problem' in result) problems.push({ at: Array.isArray(value) ? i : null, problem: result.problem });
    else secrets.push(result.secret);
  });
  return { secrets, problems };
}

function readOne(
  item: unknown,
  read: ReadSecret,
  charactersMin: number,
): { readonly secret: string } | { readonly problem: string } {
  if (item === undefined) return { problem: 'is missing' };
  if (typeof item !== 'string') return { problem: 'is neither a text nor a list of texts' };
  let secret = item;
  let place = 'the secret';
  if (item.startsWith('file:')) {
    place = `the secret in ${item.slice('file:'.length)}`;
    try {
      // Editors and `echo` end a file with a newline that nobody means.
      secret = read(item.slice('file:'.length)).replace(/\r?\n$/, '');
    } catch (error) {
      return { problem: `cannot be read: ${error instanceof Error ? error.message : String(error)}` };
    }
  }
  const problem = secretProblem(secret, place, charactersMin);
  return problem === null ? { secret } : { problem };
}

/** @param place what the problem calls it. @returns null for one that can be used. */
export function secretProblem(secret: string, place: string, charactersMin: number): string | null {
  if (secret.length < charactersMin) return `${place} is too short (${secret.length} characters)`;
  if (secret.length > SECRET_CHARACTERS_MAX) return `${place} is longer than ${SECRET_CHARACTERS_MAX} characters`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\s\u0000-\u001f\u007f]/.test(secret)) return `${place} contains blanks or control characters`;
  return null;
}
