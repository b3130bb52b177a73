// The official clients straight at the simulated provider, past the proxy: that it speaks the formats it claims is what
// every other test here rests on.
import assert from 'node:assert/strict';
import test from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import { providerKey, weather } from './proxy.mjs';

const root = process.env.SIGNALBOX_PROVIDER;
const ask = [{ role: 'user', content: 'Use get_weather' }];

test('Anthropic: a thinking stream and a tool use gather', async () => {
  const client = new Anthropic({ baseURL: root, apiKey: providerKey, maxRetries: 0 });
  const thought = await client.messages.stream({
    model: 'claude-haiku-4-5', max_tokens: 3000, thinking: { type: 'enabled', budget_tokens: 1024 },
    messages: [{ role: 'user', content: 'Hello' }],
  }).finalMessage();
  assert.deepEqual(thought.content.map((block) => block.type), ['thinking', 'text']);
  const used = await client.messages.stream({
    model: 'claude-haiku-4-5', max_tokens: 300, messages: ask,
    tools: [{ name: weather.name, input_schema: weather.schema }],
  }).finalMessage();
  assert.equal(used.stop_reason, 'tool_use');
  assert.equal(used.content[0].input.city, 'example city');
});

test('OpenAI: responses stream and gather, chat completions too, models are listed', async () => {
  const client = new OpenAI({ baseURL: `${root}/v1`, apiKey: providerKey, maxRetries: 0 });
  const response = await client.responses.stream({
    model: 'gpt-5.1', input: 'Use get_weather', reasoning: { effort: 'low', summary: 'auto' },
    tools: [{ type: 'function', name: weather.name, parameters: weather.schema, strict: true }],
  }).finalResponse();
  assert.deepEqual(response.output.map((item) => item.type), ['reasoning', 'function_call']);
  assert.equal(JSON.parse(response.output[1].arguments).city, 'example city');
  const chat = await client.chat.completions.stream({
    model: 'gpt-5.1', messages: ask, tools: [{ type: 'function', function: { name: weather.name, parameters: weather.schema } }],
  }).finalChatCompletion();
  assert.equal(chat.choices[0].finish_reason, 'tool_calls');
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes('gpt-5.1'));
});

test('Google: content is generated, streamed and counted', async () => {
  const client = new GoogleGenAI({ apiKey: providerKey, httpOptions: { baseUrl: root } });
  const whole = await client.models.generateContent({
    model: 'gemini-2.5-flash', contents: 'Hello', config: { thinkingConfig: { thinkingBudget: 1024, includeThoughts: true } },
  });
  assert.equal(whole.usageMetadata.thoughtsTokenCount, 64);
  let text = '';
  for await (const chunk of await client.models.generateContentStream({ model: 'gemini-2.5-flash', contents: 'Hello' })) {
    text += chunk.text ?? '';
  }
  assert.equal(text, whole.text);
});
