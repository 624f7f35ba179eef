// `node --import tsx test/simulator/scale.ts [--nodes 10,100,1000,3000] [--datasets 100000] [--whole 2] [--seed 1] [--json]`
// Prints what a cluster of each size asks of its coordinator in every phase of its life. What is real and what is sampled is
// said at the head of scale-cluster.ts; scale-phases.ts has the phases.
import { parseArgs } from 'node:util';
import { type PhaseResult, runPhases } from './scale-phases.ts';
import { formatMethods, formatTable } from './scale-table.ts';

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '10,100,1000,3000' },
    datasets: { type: 'string', default: '100000' },
    whole: { type: 'string', default: '2' },
    seed: { type: 'string', default: '1' },
    phases: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

const results: PhaseResult[] = [];
for (const nodes of values.nodes.split(',').map(Number)) {
  const options = {
    nodes,
    datasets: Number(values.datasets),
    wholeNodes: Math.min(nodes, Number(values.whole)),
    seed: Number(values.seed),
  };
  const only = values.phases?.split(',');
  for await (const result of runPhases(options, only)) {
    results.push(result);
    const rss = Math.round(process.memoryUsage().rss / 2 ** 20);
    const seconds = Math.round(performance.now() / 1000);
    console.error(`${nodes} nodes: ${result.counts.name} done (${seconds} s, ${rss} MB)`);
  }
}
console.log(values.json ? JSON.stringify(results) : `${formatTable(results)}\n\n${formatMethods(results)}`);
