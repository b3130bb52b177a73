// ai-gateway-provider at the universal endpoint: the binding is all that is set. Its run() is what a Worker's is: a POST
// of the list, as the gateway's own host would get it.
import assert from 'node:assert/strict';
import test from 'node:test';
import { generateText, streamText } from 'ai';
import { AiGatewayDoesNotExist, AiGatewayUnauthorizedError, createAiGateway } from 'ai-gateway-provider';
import { createAnthropic } from 'ai-gateway-provider/providers/anthropic';
import { createOpenAI } from 'ai-gateway-provider/providers/openai';
import { createUnified } from 'ai-gateway-provider/providers/unified';
import { key, proxy, recordOf, wordsFor } from './proxy.mjs';

// Keeps the answers' headers, which the client does not show.
function bindingOf({ gateway = 'default', gatewayKey = key } = {}) {
  const answers = [];
  return {
    answers,
    async run(data, { signal } = {}) {
      const answer = await fetch(`${proxy}/v1/account/${gateway}`, {
        method: 'POST', signal, body: JSON.stringify(data),
        headers: { 'content-type': 'application/json', 'cf-aig-authorization': `Bearer ${gatewayKey}` },
      });
      answers.push(answer.headers);
      return answer;
    },
  };
}

const unified = createUnified();
const anthropic = createAnthropic();
const openai = createOpenAI();

test('a dynamic route answers generateText', async () => {
  const expected = await wordsFor('A website about kites');
  const binding = bindingOf();
  const answer = await generateText({
    model: createAiGateway({ binding })(unified('dynamic/on-anthropic')), prompt: 'A website about kites', maxRetries: 0,
  });
  assert.equal(answer.text, expected.text);
  assert.equal(answer.usage.outputTokens, expected.usage.completion_tokens);
  assert.equal(binding.answers[0].get('cf-aig-step'), '0');
  assert.equal(binding.answers[0].get('cf-aig-provider'), 'anthropic');
});

test('a dynamic route streams', async () => {
  const expected = await wordsFor('A website about boats');
  const stream = streamText({
    model: createAiGateway({ binding: bindingOf() })(unified('dynamic/on-google')), prompt: 'A website about boats', maxRetries: 0,
  });
  let text = '';
  for await (const piece of stream.textStream) text += piece;
  assert.equal(text, expected.text);
});

test('each provider of an array is tried in its own format until one answers', async () => {
  const expected = await wordsFor('Who is well?');
  const binding = bindingOf();
  const model = createAiGateway({ binding })([
    openai.chat('sick-model'), anthropic('sick-model'), anthropic('claude-haiku-4-5'), openai.chat('gpt-4o-mini'),
  ]);
  const answer = await generateText({ model, prompt: 'Who is well?', maxRetries: 0 });
  assert.equal(answer.text, expected.text);
  const [headers] = binding.answers;
  assert.equal(headers.get('cf-aig-step'), '2');
  assert.equal(headers.get('cf-aig-provider'), 'anthropic');
  const record = await recordOf(headers.get('cf-aig-log-id'));
  assert.deepEqual(record.attempts.map((attempt) => `${attempt.provider} ${attempt.model}`),
    ['openai sick-model', 'anthropic sick-model', 'anthropic claude-haiku-4-5']);
});

test('a route stands in for a plain model that is sick, streamed', async () => {
  const expected = await wordsFor('Who is well?');
  const binding = bindingOf();
  const stream = streamText({
    model: createAiGateway({ binding })([unified('openai/sick-model'), unified('dynamic/healed')]),
    prompt: 'Who is well?', maxRetries: 0,
  });
  let text = '';
  for await (const piece of stream.textStream) text += piece;
  assert.equal(text, expected.text);
  assert.equal(binding.answers[0].get('cf-aig-step'), '1');
});

test("the options' headers reach the gateway", async () => {
  const binding = bindingOf();
  await generateText({
    model: createAiGateway({ binding, options: { eventId: 'event-7', metadata: { plan: 'paid' } } })(unified('dynamic/on-openai')),
    prompt: 'Hello', maxRetries: 0,
  });
  assert.equal(binding.answers[0].get('cf-aig-event-id'), 'event-7');
});

test('no such gateway, and a wrong key, are the errors the package knows', async () => {
  const ask = (binding) => generateText({
    model: createAiGateway({ binding })(unified('dynamic/on-openai')), prompt: 'x', maxRetries: 0,
  });
  await assert.rejects(ask(bindingOf({ gateway: 'nowhere' })), AiGatewayDoesNotExist);
  await assert.rejects(ask(bindingOf({ gatewayKey: 'sbx_wrong' })), AiGatewayUnauthorizedError);
});
