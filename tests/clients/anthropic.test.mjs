// The official Anthropic client: messages, streams and tools, at Anthropic and at every other provider.
import assert from 'node:assert/strict';
import test from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { key, providers, proxy, weather, wordsFor } from './proxy.mjs';

const client = new Anthropic({ baseURL: proxy, apiKey: key, maxRetries: 0 });
const ask = (content) => [{ role: 'user', content }];
const tools = [{ name: weather.name, description: weather.description, input_schema: weather.schema }];

for (const provider of providers) {
  const route = `dynamic/on-${provider}`;

  test(`${provider}: a message has the provider's words and tokens`, async () => {
    const expected = await wordsFor('A website about kites');
    const { data, response } = await client.messages
      .create({ model: route, max_tokens: 500, messages: ask('A website about kites') }).withResponse();
    assert.equal(data.type, 'message');
    assert.deepEqual(data.content.map((block) => block.type), ['text']);
    assert.equal(data.content[0].text, expected.text);
    assert.equal(data.stop_reason, 'end_turn');
    assert.equal(data.usage.input_tokens, expected.usage.prompt_tokens);
    assert.equal(data.usage.output_tokens, expected.usage.completion_tokens);
    assert.equal(response.headers.get('cf-aig-provider'), provider);
  });

  test(`${provider}: a stream gathers to the same message`, async () => {
    const expected = await wordsFor('A website about boats');
    const stream = client.messages.stream({ model: route, max_tokens: 500, messages: ask('A website about boats') });
    let text = '';
    stream.on('text', (piece) => { text += piece; });
    const message = await stream.finalMessage();
    assert.equal(text, expected.text);
    assert.equal(message.content[0].text, expected.text);
    assert.equal(message.stop_reason, 'end_turn');
    assert.equal(message.usage.output_tokens, expected.usage.completion_tokens);
  });

  test(`${provider}: a tool is used, answered, and its result is spoken of`, async () => {
    const messages = ask('Use get_weather for Lisbon');
    const first = await client.messages.create({ model: route, max_tokens: 500, messages, tools });
    const use = first.content.find((block) => block.type === 'tool_use');
    assert.equal(first.stop_reason, 'tool_use');
    assert.equal(use.name, 'get_weather');
    assert.equal(use.input.city, 'example city');
    const second = await client.messages.create({
      model: route, max_tokens: 500, tools,
      messages: [...messages, { role: 'assistant', content: first.content },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: use.id, content: 'sunny all day' }] }],
    });
    assert.match(second.content[0].text, /read: sunny all day/);
  });

  test(`${provider}: a streamed tool use gathers its input`, async () => {
    const message = await client.messages.stream({
      model: route, max_tokens: 500, messages: ask('Weather?'), tools, tool_choice: { type: 'any' },
    }).finalMessage();
    assert.equal(message.stop_reason, 'tool_use');
    const use = message.content.find((block) => block.type === 'tool_use');
    assert.equal(use.input.city, 'example city');
    assert.equal(typeof use.input.days, 'number');
  });

  test(`${provider}: a system prompt, an earlier turn, an image and a cap are understood`, async () => {
    const message = await client.messages.create({
      model: route, max_tokens: 7, system: 'You are brief',
      messages: [
        { role: 'user', content: 'Hello' },
        { role: 'assistant', content: 'Hi!' },
        { role: 'user', content: [
          { type: 'text', text: 'What is this?' },
          { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'aGVsbG8=' } },
        ] },
      ],
    });
    assert.equal(message.stop_reason, 'max_tokens');
    assert.equal(message.usage.output_tokens, 7);
    assert.equal(message.usage.input_tokens, Math.ceil((13 + 5 + 3 + 13) / 4) + 85);
  });
}

test('thinking is asked for and told, where the provider thinks aloud', async () => {
  const message = await client.messages.create({
    model: 'dynamic/on-anthropic', max_tokens: 4000, thinking: { type: 'enabled', budget_tokens: 1024 },
    messages: ask('Think first'),
  });
  assert.deepEqual(message.content.map((block) => block.type), ['thinking', 'text']);
  assert.ok(message.content[0].signature.length > 0);
});

test('a prompt marked for the cache is told as read and written', async () => {
  const message = await client.messages.create({
    model: 'dynamic/on-anthropic', max_tokens: 100, messages: ask('Hello'),
    system: [{ type: 'text', text: 'A long instruction, again and again', cache_control: { type: 'ephemeral' } }],
  });
  assert.ok(message.usage.cache_read_input_tokens > 0);
  assert.ok(message.usage.cache_creation_input_tokens > 0);
});

test('errors are the classes an application catches', async () => {
  await assert.rejects(
    new Anthropic({ baseURL: proxy, apiKey: 'sbx_wrong', maxRetries: 0 }).messages
      .create({ model: 'dynamic/on-anthropic', max_tokens: 9, messages: ask('x') }),
    Anthropic.AuthenticationError);
  await assert.rejects(client.messages.create({ model: 'dynamic/nowhere', max_tokens: 9, messages: ask('x') }),
    (error) => error instanceof Anthropic.NotFoundError && error.error.type === 'error' &&
      error.error.error.type === 'not_found_error');
});
