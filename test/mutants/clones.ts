// Mutants of clones: known before they are used, whose they are, what does not come along.
import { clones, crash, dir, relabel } from './catchers.ts';
import type { Mutant } from './mutant.ts';

const OWN = 'dir: a clone is what the snapshot was, under an id and a term of its own, and goes its own way';

export const CLONE_MUTANTS: readonly Mutant[] = [
  {
    name: 'clone-used-before-its-home-knows',
    breaks: 'I3: a bucket that is used somewhere is not denied by the home of its name',
    file: 'src/ownership/life-transitions.ts',
    find: 'const isMadeAway = state.copy?.origin !== undefined;',
    replace: 'const isMadeAway = state.copy === null;',
    caughtBy: [clones('dir: when a clone can be used, its home does not say that it is not there')],
  },
  {
    name: 'clone-forgets-that-it-is-one',
    breaks: 'what the steps of a creation rest on outlives a crash between them',
    file: 'src/ownership/copy-properties.ts',
    find: '...(copy.origin === undefined ? {} : { origin: copy.origin }),',
    replace: '',
    caughtBy: [crash('cloning survives a death at every change: the whole clone, or none; its source as it was')],
  },
  {
    name: 'clone-sent-home-at-once',
    breaks: 'a clone shares its blocks with its source until an operator says otherwise',
    file: 'src/ownership/life-transitions.ts',
    find: 'pin: copy.origin === undefined ? null : state.self,',
    replace: 'pin: null,',
    caughtBy: [clones(OWN)],
  },
  {
    name: 'clone-under-the-quota-of-its-source',
    breaks: 'limits are set for one bucket, not for what is cloned from it',
    file: 'src/ownership/clone-copy.ts',
    find: 'formatSettings({ ...NO_SETTINGS, compression })',
    replace: 'formatSettings({ ...NO_SETTINGS, ...parseSettings(store.document(SETTINGS_DOCUMENT)), compression })',
    caughtBy: [clones(OWN)],
  },
  {
    name: 'clone-of-what-has-the-name-now',
    breaks: 'what is cloned is the snapshot that was looked at, not another that got its name',
    file: 'src/dataset/names.ts',
    find: 'if (found.guid === wanted) return;',
    replace: 'if (found.guid !== "") return;',
    caughtBy: [dir('refuses a name that is taken, an unknown snapshot, and another one of that name')],
  },
  {
    name: 'clone-under-the-terms-of-its-source',
    breaks: 'terms are one name’s own: those under which another bucket was written bind nobody here',
    file: 'src/store/index.ts',
    find: 'JSON.stringify({ ...opening, term: null })',
    replace: 'JSON.stringify(opening)',
    caughtBy: [relabel('objects, versions, documents and sequence numbers stay; id and term are its own')],
  },
];
