// Mutants of routing: circles, second tries of what may have been done, cut answers that look whole, absence without proof.
import { abort, forward, hopBody, router } from './catchers.ts';
import type { Mutant } from './mutant.ts';

const RULES = 'every combination keeps the rules';

export const ROUTING_MUTANTS: readonly Mutant[] = [
  {
    name: 'forward-what-a-peer-forwarded',
    breaks: 'requests run in circles between nodes',
    file: 'src/routing/router.ts',
    find: "return { kind: 'not-owner', owner: whereabouts.certain ? whereabouts.node : null };",
    replace: "return { kind: 'forward', node: whereabouts.node };",
    caughtBy: [router(RULES)],
  },
  {
    name: 'forward-twice-to-one-node',
    breaks: 'two nodes that point at each other get one request again and again',
    file: 'src/routing/router.ts',
    find: 'return forwards.every((attempt) => attempt.node !== node);',
    replace: 'return forwards.length < FORWARDS_MAX;',
    caughtBy: [router(RULES)],
  },
  {
    name: 'forward-without-a-limit',
    breaks: 'a request follows every hint through the cluster',
    file: 'src/routing/router.ts',
    find: 'if (node === question.self || forwards.length >= FORWARDS_MAX) return false;',
    replace: 'if (node === question.self) return false;',
    caughtBy: [router(RULES)],
  },
  {
    name: 'send-a-body-that-is-gone',
    breaks: 'the second node gets the rest of a body as if it were the whole',
    file: 'src/routing/router.ts',
    find: 'if (last && !question.replayable) {',
    replace: 'if (last && question.tried.length > FORWARDS_MAX) {',
    caughtBy: [router('bytes of the body left: unavailable'), router(RULES)],
  },
  {
    name: 'absent-because-not-reached',
    breaks: 'I3: 404 for a bucket whose owner is down',
    file: 'src/routing/router.ts',
    find: 'return unavailable(whyNot(tried));',
    replace: "return tried.length > 0 ? { kind: 'absent' } : unavailable(whyNot(tried));",
    caughtBy: [router('owner down, nobody else known: unavailable'), router(RULES)],
  },
  {
    name: 'name-a-guessed-owner',
    breaks: 'the guess of a ring is passed on as knowledge',
    file: 'src/routing/router.ts',
    find: 'owner: whereabouts.certain ? whereabouts.node : null',
    replace: 'owner: whereabouts.node',
    caughtBy: [router('a typed refusal names an owner only when it is known, not guessed')],
  },
  {
    name: 'send-again-what-may-have-been-done',
    breaks: 'a write is carried out twice',
    file: 'src/routing/forward.ts',
    find: "return method === 'GET' || method === 'HEAD' || method === 'OPTIONS';",
    replace: "return method !== 'POST';",
    caughtBy: [forward('the owner dies before an answer to PUT with 100 bytes: not replayable')],
  },
  {
    name: 'send-again-what-has-begun',
    breaks: 'a write whose body was on its way is carried out twice',
    file: 'src/routing/forward.ts',
    find: "return !this.#body.started && method !== 'DELETE';",
    replace: "return method !== 'DELETE';",
    caughtBy: [abort('the owner dies in the middle of the body: 503, and it may not be sent again')],
  },
  {
    name: 'end-a-cut-answer-well',
    breaks: 'half an object looks like the whole one to the client',
    file: 'src/routing/forward.ts',
    find: '      cutClient(this.#exchange);\n',
    replace: '      this.#exchange.response.end();\n',
    caughtBy: [abort('the owner dies in the middle of its answer (chunked): the client sees a cut')],
  },
  {
    name: 'end-a-cut-body-well',
    breaks: 'the owner stores half a body as the whole one',
    file: 'src/routing/hop-body.ts',
    find: '    if (!this.#request.readableEnded) this.destroy(cutShort());',
    replace: '    if (!this.#request.readableEnded) this.push(null);',
    caughtBy: [hopBody('a sender that goes before the end: an error, not an end')],
  },
  {
    name: 'end-an-incomplete-body-well',
    breaks: 'the owner stores a body that the parser did not see the end of',
    file: 'src/routing/hop-body.ts',
    find: 'if (this.#request.complete) this.push(null);',
    replace: 'if (this.#request.readableEnded) this.push(null);',
    caughtBy: [hopBody('an end that the parser does not call complete: an error, not an end')],
  },
];
