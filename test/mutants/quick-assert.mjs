// Preloaded into the tests of mutants: a bare `assert(condition)` that fails says so at once. Node 20 reads the source again
// to quote the condition; of what tsx compiled, one line to Node, it finds no place in the source, and parses every
// beginning of the file from there: minutes for a file of some hundred lines. Plain JavaScript, as it comes before tsx.
import { register } from 'node:module';

const shim = `
  import real from 'node:assert/strict';
  export * from 'node:assert/strict';
  const ok = (value, message) => {
    if (!value) real.fail(message ?? 'the condition does not hold');
  };
  export default Object.assign(ok, real, { ok });
`;
const SHIM = `data:text/javascript,${encodeURIComponent(shim)}`;

const hooks = `
  export function resolve(specifier, context, next) {
    const asked = specifier === 'node:assert/strict' && context.parentURL !== ${JSON.stringify(SHIM)};
    return asked ? { url: ${JSON.stringify(SHIM)}, format: 'module', shortCircuit: true } : next(specifier, context);
  }
`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
