// The official openai client against the proxies: what an application does, as it would do it.
import assert from 'node:assert/strict';
import test from 'node:test';
import OpenAI from 'openai';
import { ledgerRecord } from './ledger.mjs';

const [first, second] = process.env.SIGNALBOX_PROXIES.split(' ');
const model = 'dynamic/my-trillion-dollar-saas';
const email = `client-${Date.now().toString(36)}@example.com`;

function clientOf(url, user = { plan: 'paid', email }) {
  return new OpenAI({
    baseURL: `${url}/v1`,
    apiKey: process.env.SIGNALBOX_KEY,
    maxRetries: 0,
    defaultHeaders: { 'cf-aig-metadata': JSON.stringify(user) },
  });
}

const ask = (content) => [{ role: 'user', content }];

const tools = [{
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather in a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
}];

test('a unary answer comes as the client expects it', async () => {
  const { data, response } = await clientOf(first).chat.completions
    .create({ model, messages: ask('A website about kites') }).withResponse();
  assert.equal(data.object, 'chat.completion');
  assert.ok(data.choices[0].message.content.length > 0);
  assert.ok(data.usage.completion_tokens > 0);
  assert.equal(response.headers.get('cf-aig-provider'), 'openai');
  assert.equal(response.headers.get('cf-aig-step'), '0');
  assert.match(response.headers.get('signalbox-cost-usd'), /^\d+\.\d{9}$/);
});

test('a streamed answer says the same, piece by piece', async () => {
  const request = { model, messages: ask('A website about boats'), max_completion_tokens: 40 };
  const whole = await clientOf(first).chat.completions.create(request);
  const stream = await clientOf(second).chat.completions.create({ ...request, stream: true });
  let text = '';
  for await (const event of stream) {
    assert.equal(event.usage ?? null, null, 'usage was not asked for');
    text += event.choices[0]?.delta?.content ?? '';
  }
  if (!process.env.SIGNALBOX_BILL) return; // the real provider does not repeat itself
  assert.equal(text, whole.choices[0].message.content);
});

test('usage comes with a stream when it is asked for', async () => {
  const stream = await clientOf(first).chat.completions.create({
    model, messages: ask('A website about trains'), stream: true, stream_options: { include_usage: true },
  });
  const events = [];
  for await (const event of stream) events.push(event);
  const last = events.at(-1);
  assert.deepEqual(last.choices, []);
  assert.ok(last.usage.total_tokens > last.usage.prompt_tokens);
});

test('a tool is called, unary and streamed, and its result is taken back', async () => {
  const request = { model, messages: ask('What is the weather? Use get_weather.'), tools, tool_choice: 'required' };
  const answer = await clientOf(first).chat.completions.create(request);
  const call = answer.choices[0].message.tool_calls[0];
  assert.equal(call.function.name, 'get_weather');
  assert.equal(typeof JSON.parse(call.function.arguments).city, 'string');

  const streamed = await clientOf(second).chat.completions.stream(request).finalChatCompletion();
  assert.equal(streamed.choices[0].message.tool_calls[0].function.name, 'get_weather');

  const final = await clientOf(second).chat.completions.create({
    model,
    tools,
    messages: [...request.messages, answer.choices[0].message,
      { role: 'tool', tool_call_id: call.id, content: 'sunny, 24 degrees' }],
  });
  assert.ok(final.choices[0].message.content.length > 0);
});

test('an aborted stream is recorded as cancelled and charged for what came', async () => {
  const { data: stream, response } = await clientOf(first).chat.completions
    .create({ model, messages: ask('A very long website text'), n: 8, stream: true }).withResponse();
  for await (const event of stream) {
    if (event.choices[0]?.delta?.content) break; // leaving the loop aborts the request
  }
  const record = await ledgerRecord(response.headers.get('cf-aig-log-id'));
  assert.equal(record?.outcome, 'CANCELLED');
  assert.ok(Number(record.costNanos) > 0);
});

test('the list of models names the route', async () => {
  const models = [];
  for await (const entry of clientOf(second).models.list()) models.push(entry.id);
  assert.ok(models.includes(model), models.join(' '));
});

test('refusals are the client’s own error classes', async () => {
  const wrong = new OpenAI({ baseURL: `${first}/v1`, apiKey: 'sbx_wrong', maxRetries: 0 });
  await assert.rejects(wrong.chat.completions.create({ model, messages: ask('x') }),
    (error) => error instanceof OpenAI.AuthenticationError && error.code === 'invalid_key');
  await assert.rejects(clientOf(first).chat.completions.create({ model: 'dynamic/none', messages: ask('x') }),
    (error) => error instanceof OpenAI.NotFoundError && error.code === 'route_not_found');
  await assert.rejects(clientOf(first, { plan: 'free' }).chat.completions.create({ model, messages: ask('x') }),
    (error) => error instanceof OpenAI.BadRequestError && error.code === 'missing_identifier');
});
