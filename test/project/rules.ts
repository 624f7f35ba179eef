// The rules of the source layout, as pure functions over (path, text): which way imports run, what only one place may
// import, how long a file may be, and what may not stand in one. The tests run them over src and over bad examples.

export interface SourceFile {
  /** From the repository's root, with slashes: `src/store/index.ts`. */
  readonly path: string;
  readonly text: string;
}

export interface ImportUse {
  readonly specifier: string;
  readonly line: number;
  /** Erased at run time. */
  readonly typeOnly: boolean;
}

/**
 * A folder (or a file of src itself) may import itself and what has a lower rank. `node.ts` puts one node together from
 * all parts; `cli` starts nodes and talks to them.
 */
export const RANKS: Readonly<Record<string, number>> = {
  release: -1,
  common: 0,
  config: 1,
  telemetry: 2,
  cluster: 3,
  store: 3,
  dataset: 3,
  ownership: 4,
  replication: 4,
  routing: 5,
  s3: 6,
  admin: 6,
  node: 7,
  cli: 8,
  main: 9,
};

/** Package → where it may be imported. Replacing one of these stays the business of one place. */
export const ONE_PLACE: Readonly<Record<string, RegExp>> = {
  ioredis: /^src\/cluster\/redis-coordinator[a-z-]*\.ts$/,
  undici: /^src\/routing\/transport\.ts$/,
  'http-proxy': /^src\/admin\/[a-z-]+\.ts$/,
  lmdb: /^src\/common\/lmdb\.ts$/,
  'node:child_process': /^src\/(dataset\/command|cli\/[a-z-]+)\.ts$/,
  pino: /^src\/telemetry\/log\.ts$/,
  'prom-client': /^src\/telemetry\/metrics\.ts$/,
  hashring: /^src\/cluster\/ring\.ts$/,
  citty: /^src\/(cli\/[a-z-]+|main)\.ts$/,
  yaml: /^src\/config\/[a-z-]+\.ts$/,
};

/** store and dataset are libraries over a folder: usable without any server. */
const NO_NETWORK_FOLDERS = ['store', 'dataset'];
const NETWORK_MODULES = new Set(['node:http', 'node:https', 'node:http2', 'node:net', 'node:tls', 'node:dgram']);

export const LINES_MAX = 500;
/** Tables of cases are long and still easy to read. */
export const TEST_LINES_MAX = 800;
/** Folders of one machine: a temp folder comes from os.tmpdir(), everything else from the configuration. */
const MACHINE_PATH = /(?<![\w.~-])\/(work|home|root|Users|tmp|mnt|private)\/[\w.-]/;

/** Static imports stand at the start of a line (the formatter sees to it); dynamic ones anywhere outside comments. */
export function importsOf(text: string): ImportUse[] {
  const uses: ImportUse[] = [];
  const lineAt = (index: number) => text.slice(0, index).split('\n').length;
  for (const match of text.matchAll(/^(import|export)\b(\s+type\b)?([^'"`;=]*?)(\bfrom\s*)?['"]([^'"]+)['"]/gm)) {
    const [, keyword, type, clause = '', from, specifier = ''] = match;
    const bare = keyword === 'import' && from === undefined && clause.trim() === '';
    if (from === undefined && !bare) continue;
    const named = /^\s*\{([^}]*)\}\s*$/.exec(clause)?.[1];
    const allTypes = named?.split(',').every((name) => name.trim() === '' || name.trim().startsWith('type ')) ?? false;
    uses.push({ specifier, line: lineAt(match.index), typeOnly: type !== undefined || allTypes });
  }
  for (const match of text.matchAll(/\b(?:import|require)\(\s*['"]([^'"]+)['"]/g)) {
    const before = text.slice(text.lastIndexOf('\n', match.index) + 1, match.index);
    if (!/^\s*(\/\/|\*|\/\*)/.test(before)) {
      uses.push({ specifier: match[1] ?? '', line: lineAt(match.index), typeOnly: false });
    }
  }
  return uses;
}

function packageOf(specifier: string): string {
  if (specifier.startsWith('node:')) return specifier.split('/')[0] ?? specifier;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** Folder below src; `main` for src/main.ts itself. */
function folderOf(path: string): string {
  const [, first = '', second] = path.split('/');
  return second === undefined ? first.replace(/\.ts$/, '') : first;
}

export function resolveImport(from: string, specifier: string): string {
  const parts = from.split('/').slice(0, -1);
  for (const part of specifier.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.') parts.push(part);
  }
  return parts.join('/');
}

function importFaults(file: SourceFile): string[] {
  const folder = folderOf(file.path);
  const rank = RANKS[folder];
  if (rank === undefined) return [`${file.path}: folder ${folder} has no place in the order of imports`];
  return importsOf(file.text).flatMap(({ specifier, line }) => {
    const at = `${file.path}:${line}`;
    if (!specifier.startsWith('.')) return packageFaults(file.path, folder, specifier, at);
    if (!/\.(ts|mjs)$/.test(specifier)) return [`${at}: ${specifier} lacks its extension`];
    const target = resolveImport(file.path, specifier);
    if (!target.startsWith('src/')) return [`${at}: ${specifier} leaves src`];
    const targetFolder = folderOf(target);
    const targetRank = RANKS[targetFolder];
    if (targetFolder === folder || (targetRank !== undefined && targetRank < rank)) return [];
    return [`${at}: ${folder} must not import ${targetFolder} (${specifier})`];
  });
}

function packageFaults(path: string, folder: string, specifier: string, at: string): string[] {
  const name = packageOf(specifier);
  const place = Object.hasOwn(ONE_PLACE, name) ? ONE_PLACE[name] : undefined;
  if (place && !place.test(path)) return [`${at}: ${name} may only be imported in ${place.source}`];
  if (NO_NETWORK_FOLDERS.includes(folder) && NETWORK_MODULES.has(name)) {
    return [`${at}: ${folder} must not know the network (${name})`];
  }
  return [];
}

/** Some places of the table are patterns; still only one file each may use the package. */
function placeFaults(files: readonly SourceFile[]): string[] {
  const single = ['undici', 'http-proxy', 'lmdb', 'pino', 'prom-client', 'hashring'];
  return single.flatMap((name) => {
    const users = files.filter(({ text }) => importsOf(text).some(({ specifier }) => packageOf(specifier) === name));
    return users.length <= 1 ? [] : [`${name} is imported by ${users.map(({ path }) => path).join(' and ')}`];
  });
}

/** Run-time cycles: a module of a cycle can see another one half-made. */
function cycleFaults(files: readonly SourceFile[]): string[] {
  const edges = new Map(
    files.map(({ path, text }) => [
      path,
      importsOf(text)
        .filter(({ specifier, typeOnly }) => specifier.startsWith('.') && !typeOnly)
        .map(({ specifier }) => resolveImport(path, specifier)),
    ]),
  );
  const done = new Set<string>();
  const faults: string[] = [];
  const visit = (path: string, trail: readonly string[]) => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      faults.push(`import cycle: ${[...trail.slice(start), path].join(' → ')}`);
      return;
    }
    if (done.has(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return faults;
}

export function lengthFaults(file: SourceFile, linesMax: number): string[] {
  const lines = file.text.replace(/\n$/, '').split('\n').length;
  return lines <= linesMax ? [] : [`${file.path}: ${lines} lines, at most ${linesMax}`];
}

export function machinePathFaults(file: SourceFile): string[] {
  return file.text.split('\n').flatMap((line, i) => {
    const found = MACHINE_PATH.exec(line);
    return found ? [`${file.path}:${i + 1}: path of one machine: ${found[0]}…`] : [];
  });
}

/** A file says what it is before it does anything. */
function headFaults(file: SourceFile): string[] {
  return /^(#!.*\n)?\/\/ \S/.test(file.text) ? [] : [`${file.path}: does not open with a comment that says what it is`];
}

/** Every fault of the files of src. */
export function sourceFaults(files: readonly SourceFile[]): string[] {
  const typescript = files.filter(({ path }) => path.endsWith('.ts'));
  return [
    ...typescript.flatMap(importFaults),
    ...placeFaults(typescript),
    ...cycleFaults(typescript),
    ...files.flatMap((file) => lengthFaults(file, LINES_MAX)),
    ...files.flatMap(machinePathFaults),
    ...files.flatMap(headFaults),
  ];
}
