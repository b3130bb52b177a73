// The quick start's demonstration: one dynamic route, two plans, two proxies, the official openai client. Every step
// says what it expects and whether it came out so; the exit status is 0 only if all did.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import OpenAI from 'openai';
import { getJson, ledgerRecord } from './ledger.mjs';

const env = process.env;
const proxies = env.SIGNALBOX_PROXIES.split(' ');
const routeName = 'my-trillion-dollar-saas';
const prompt = 'Write a short description of my new website about hand-made kites.';
const run = Date.now().toString(36);
const free = { plan: 'free', email: `free-${run}@example.com` };
const paid = { plan: 'paid', email: `paid-${run}@example.com` };
const requestIds = [];
let failures = 0;

// ---- Saying what happens ----

const bold = (text) => `\x1b[1m${text}\x1b[0m`;
const title = (text) => console.log(`\n${bold(`==> ${text}`)}`);

function step(name, right, detail = '') {
  if (!right) ++failures;
  console.log(`  ${right ? 'ok    ' : 'FAILED'}  ${name}${detail ? `  (${detail})` : ''}`);
}

function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => [...row[column]].length)));
  for (const row of rows) {
    console.log(`  ${row.map((cell, column) => cell + ' '.repeat(widths[column] - [...cell].length)).join('   ').trimEnd()}`);
  }
}

const dollars = (nanos) => `$${(Number(nanos) / 1e9).toFixed(9)}`;
const shorten = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

// ---- Calls ----

const clients = proxies.map((url) => new OpenAI({ baseURL: `${url}/v1`, apiKey: env.SIGNALBOX_KEY, maxRetries: 0 }));

const call = (user, stream) => [
  {
    model: `dynamic/${routeName}`,
    messages: [{ role: 'user', content: prompt }],
    ...(stream ? { stream: true, stream_options: { include_usage: true } } : {}),
  },
  { headers: { 'cf-aig-metadata': JSON.stringify(user) } },
];

// signalbox-limit: pool=...; unit=requests; limit=10; remaining=9; reset=...   one a limit, joined by commas
function remaining(headers) {
  const limits = (headers.get('signalbox-limit') ?? '').split(',').map((limit) =>
    Object.fromEntries(limit.split(';').map((part) => part.trim().split('='))));
  return Object.fromEntries(limits.map((limit) => [limit.unit, limit.remaining]));
}

function note(headers) {
  requestIds.push(headers.get('cf-aig-log-id'));
  return {
    id: headers.get('cf-aig-log-id'),
    provider: headers.get('cf-aig-provider'),
    model: headers.get('cf-aig-model'),
    route: headers.get('signalbox-route'),
    path: headers.get('signalbox-path'),
    left: remaining(headers),
  };
}

async function unary(proxy, user) {
  const started = performance.now();
  const { data, response } = await clients[proxy].chat.completions.create(...call(user, false)).withResponse();
  const ms = performance.now() - started;
  return { ...note(response.headers), text: data.choices[0].message.content, usage: data.usage, first: ms, total: ms };
}

async function streamed(proxy, user) {
  const started = performance.now();
  const { data, response } = await clients[proxy].chat.completions.create(...call(user, true)).withResponse();
  let text = '';
  let usage;
  let first;
  let pieces = 0;
  for await (const event of data) {
    const piece = event.choices[0]?.delta?.content;
    if (piece) {
      first ??= performance.now() - started;
      text += piece;
      ++pieces;
    }
    usage = event.usage ?? usage;
  }
  return { ...note(response.headers), text, usage, first, pieces, total: performance.now() - started };
}

// The error of a call that must be refused, else null.
async function refusal(proxy, user) {
  try {
    await clients[proxy].chat.completions.create(...call(user, false));
    return null;
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error;
    requestIds.push(error.headers?.get('cf-aig-log-id'));
    return error;
  }
}

const execute = promisify(execFile);

async function control(...args) {
  const started = performance.now();
  try {
    const { stdout } = await execute(env.SIGNALBOX_CTL, [`--server=${env.SIGNALBOX_SERVER}`,
      `--token_file=${env.SIGNALBOX_ADMIN_TOKEN_FILE}`, ...args]);
    return { ok: true, out: stdout, ms: performance.now() - started };
  } catch (error) {
    return { ok: false, out: `${error.stdout ?? ''}${error.stderr ?? error.message}`, ms: performance.now() - started };
  }
}

// ---- The show ----

async function sideBySide() {
  title('The same prompt, as a free and as a paid user, unary and streamed');
  const answers = [await unary(0, free), await unary(1, paid), await streamed(1, free), await streamed(0, paid)];
  const records = await Promise.all(answers.map((answer) => ledgerRecord(answer.id)));
  const row = (name, cell) => [name, ...answers.map((answer, i) => cell(answer, records[i]) ?? '-')];
  table([
    ['', 'free, unary', 'paid, unary', 'free, streamed', 'paid, streamed'],
    row('answer', (a) => shorten(a.text, 36)),
    row('model', (a) => a.model),
    row('path', (a) => a.path.replace(/^start\//, '').replace(/\/end$/, '')),
    row('tokens in, out', (a) => `${a.usage.prompt_tokens}, ${a.usage.completion_tokens}`),
    row('cost', (a, record) => record && dollars(record.costNanos)),
    row('requests left today', (a) => a.left.requests),
    row('dollars left today *', (a) => Number(a.left.usd).toFixed(6)),
    row('first words after', (a) => `${a.first.toFixed(0)} ms`),
    row('whole after', (a) => `${a.total.toFixed(0)} ms`),
  ]);
  console.log('  * of a stream: while its hold is still out; what it does not use comes back at its end\n');
  const [freeUnary, paidUnary, freeStream, paidStream] = answers;
  step('the free plan gets gpt-4o-mini', freeUnary.model === 'gpt-4o-mini' && freeStream.model === 'gpt-4o-mini');
  step('the paid plan gets gpt-5.1', paidUnary.model === 'gpt-5.1' && paidStream.model === 'gpt-5.1');
  step('paths say why', freeUnary.path === 'start/plan/free-requests/free-budget/free-model/end' &&
    paidStream.path === 'start/plan/paid-requests/paid-budget/paid-model/end');
  step('both proxies count together', freeUnary.left.requests === '9' && freeStream.left.requests === '8' &&
    paidUnary.left.requests === '999' && paidStream.left.requests === '998');
  step('streams arrive in pieces', freeStream.pieces > 1 && paidStream.pieces > 1,
    `${freeStream.pieces} and ${paidStream.pieces}`);
  step('every request is in the ledger, with its tokens and cost', records.every((record, i) => record !== null &&
    record.outcome === 'SUCCESS' && Number(record.costNanos) > 0 &&
    Number(record.usage.output) === answers[i].usage.completion_tokens));
}

async function eleventhRequest() {
  title('The free user’s eleventh request of the day');
  const rest = await Promise.all([...Array(8).keys()].map((i) => unary(i % 2, free)));
  step('requests 3 to 10 are answered, over both proxies at once', rest.every((answer) => answer.model === 'gpt-4o-mini'));
  const error = await refusal(0, free);
  step('the eleventh is refused with 429', error?.status === 429 && error.code === 'limit_exceeded',
    error ? `"${error.error?.message}"` : 'it was answered');
  step('retry-after says when the window turns', Number(error?.headers?.get('retry-after')) > 0,
    `${error?.headers?.get('retry-after')} s`);
  step('the other proxy refuses it as well', (await refusal(1, free))?.status === 429);
  step('the paid user goes on', (await unary(1, paid)).model === 'gpt-5.1');
}

const timesOf = (out) => [...out.matchAll(/(proxy-\S+)\s+applied\s+(\S+ \S+)/g)].map((m) => `${m[1]} after ${m[2]}`).join(', ');

async function newVersionAndBack() {
  title('A new version: twelve requests a day; then a rollback');
  const folder = await mkdtemp(path.join(tmpdir(), 'signalbox-demo-'));
  try {
    const graph = JSON.parse(await readFile(env.SIGNALBOX_ROUTE, 'utf8'));
    graph.elements.find((element) => element.id === 'free-requests').properties.limit = 12;
    const file = path.join(folder, 'route.json');
    await writeFile(file, JSON.stringify(graph, null, 2));
    const deployed = await control('route', 'apply', '-f', file, '--deploy', '--wait');
    step('a new version is deployed and both proxies run it', deployed.ok && timesOf(deployed.out).split(',').length === 2,
      deployed.ok ? `${timesOf(deployed.out)}; ${deployed.ms.toFixed(0)} ms for the whole command` : deployed.out.trim());
    const first = await unary(0, free);
    const second = await unary(1, free);
    step('the refused user is let in twice more; the counter went on counting',
      first.left.requests === '1' && second.left.requests === '0', `${first.route}, ${second.route}`);
    const back = await control('rollback', routeName, '--wait');
    step('a rollback brings the old version back on both proxies', back.ok && timesOf(back.out).split(',').length === 2,
      back.ok ? `${timesOf(back.out)}; ${back.ms.toFixed(0)} ms for the whole command` : back.out.trim());
    const error = await refusal(1, free);
    step('ten a day again: refused with 429', error?.status === 429);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function spend() {
  title('What it cost, from the ledger');
  const records = await Promise.all(requestIds.map(ledgerRecord));
  step('every request has its record, refused ones too, at no cost', records.every((record) => record !== null &&
    (record.outcome !== 'REFUSED' || Number(record.costNanos ?? 0) === 0)), `${records.length} records`);
  for (const by of ['identifier', 'model']) {
    const usage = await control('usage', '--by', by, '--since', '24h');
    console.log(`\n  signalboxctl usage --by ${by} --since 24h`);
    console.log(usage.out.trimEnd().split('\n').slice(0, 12).map((line) => `    ${line}`).join('\n'));
    step(`spend by ${by}`, usage.ok && usage.out.includes(by === 'model' ? 'gpt-5.1' : paid.email));
  }
  if (!env.SIGNALBOX_BILL) return;
  const bill = await getJson(env.SIGNALBOX_BILL);
  const mine = new Set(requestIds);
  const billed = bill.requests.filter((line) => mine.has(line.request_id)).reduce((sum, line) => sum + line.cost_nanos, 0);
  const ledger = records.reduce((sum, record) => sum + Number(record?.costNanos ?? 0), 0);
  console.log();
  step('the ledger equals the provider’s own bill, to the nano-dollar', billed === ledger && ledger > 0,
    `${dollars(ledger)} and ${dollars(billed)}`);
}

for (const part of [sideBySide, eleventhRequest, newVersionAndBack, spend]) {
  try {
    await part();
  } catch (error) {
    step(`${part.name} ran to its end`, false, error.stack ?? String(error));
  }
}
console.log(failures === 0 ? '\nEvery step came out right.' : `\n${failures} step(s) FAILED.`);
process.exitCode = failures === 0 ? 0 : 1;
