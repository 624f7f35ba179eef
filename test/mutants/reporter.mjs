// Reporter of node:test for run.ts: one line of JSON for each test that passed, failed or was skipped. Plain JavaScript:
// the runner of node:test loads it without tsx.
export default async function* lines(source) {
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.details?.type === 'suite') continue;
    const error = data.details?.error;
    const cause = error?.cause ?? error;
    const verdict = data.skip !== undefined || data.todo !== undefined ? 'skipped' : type.slice('test:'.length);
    yield `${JSON.stringify({
      verdict,
      name: data.name,
      reason: typeof data.skip === 'string' ? data.skip : '',
      kind: error?.failureType ?? null,
      message: verdict === 'fail' ? String(cause?.message ?? cause ?? '').split('\n')[0] : '',
    })}\n`;
  }
}
