// The door of this folder for the rest of the program: load once, watch for changes, find this process's entry, words
// for faults. Everything behind it may be split differently without anybody noticing.
export { formatAddress, parseAddress } from './address.ts';
export { formatFault, requireNode } from './parse.ts';
export { loadConfig } from './read.ts';
export { restartReasons } from './restart.ts';
export { type ConfigWatcher, type WatchOptions, watchConfig } from './watch.ts';
