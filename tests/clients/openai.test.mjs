// The official openai client: chat, streams, tools, structured output, responses and embeddings, whichever provider's
// wire format is behind the route.
import assert from 'node:assert/strict';
import test from 'node:test';
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { key, model, providers, proxy, weather, wordsFor } from './proxy.mjs';

const client = new OpenAI({ baseURL: `${proxy}/v1`, apiKey: key, maxRetries: 0 });
const ask = (content) => [{ role: 'user', content }];
const tools = [{
  type: 'function',
  function: { name: weather.name, description: weather.description, parameters: weather.schema },
}];
const Site = z.object({ title: z.string(), pages: z.array(z.object({ path: z.string(), words: z.number() })) });

for (const provider of providers) {
  const route = `dynamic/on-${provider}`;

  test(`${provider}: a chat completion has the provider's words and tokens`, async () => {
    const expected = await wordsFor('A website about kites');
    const { data, response } = await client.chat.completions
      .create({ model: route, messages: ask('A website about kites'), max_completion_tokens: 500 }).withResponse();
    assert.equal(data.object, 'chat.completion');
    assert.equal(data.choices[0].message.content, expected.text);
    assert.equal(data.choices[0].finish_reason, 'stop');
    assert.equal(data.usage.prompt_tokens, expected.usage.prompt_tokens);
    assert.equal(data.usage.completion_tokens, expected.usage.completion_tokens);
    assert.equal(response.headers.get('cf-aig-provider'), provider);
    assert.equal(response.headers.get('cf-aig-model'), model);
  });

  test(`${provider}: a stream says the same piece by piece, and its usage when asked`, async () => {
    const expected = await wordsFor('A website about boats');
    const stream = await client.chat.completions.create({
      model: route, messages: ask('A website about boats'), stream: true, stream_options: { include_usage: true },
    });
    let text = '';
    let pieces = 0;
    let finish;
    let usage;
    for await (const event of stream) {
      const choice = event.choices[0];
      if (choice?.delta?.content) { text += choice.delta.content; pieces += 1; }
      finish = choice?.finish_reason ?? finish;
      usage = event.usage ?? usage;
    }
    assert.equal(text, expected.text);
    assert.ok(pieces > 2);
    assert.equal(finish, 'stop');
    assert.equal(usage.completion_tokens, expected.usage.completion_tokens);
  });

  test(`${provider}: a tool is called, answered, and its result is spoken of`, async () => {
    const messages = ask('Use get_weather for Lisbon');
    const first = await client.chat.completions.create({ model: route, messages, tools, max_completion_tokens: 400 });
    const message = first.choices[0].message;
    assert.equal(first.choices[0].finish_reason, 'tool_calls');
    assert.equal(message.tool_calls.length, 1);
    assert.equal(message.tool_calls[0].function.name, 'get_weather');
    assert.equal(JSON.parse(message.tool_calls[0].function.arguments).city, 'example city');
    const second = await client.chat.completions.create({
      model: route, tools, max_completion_tokens: 400,
      messages: [...messages, message, { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'sunny all day' }],
    });
    assert.match(second.choices[0].message.content, /read: sunny all day/);
    assert.equal(second.choices[0].finish_reason, 'stop');
  });

  test(`${provider}: a streamed tool call gathers to the same arguments`, async () => {
    const whole = await client.chat.completions.create({
      model: route, messages: ask('Weather?'), tools, tool_choice: 'required', max_completion_tokens: 400,
    });
    const gathered = await client.chat.completions.stream({
      model: route, messages: ask('Weather?'), tools, tool_choice: 'required', max_completion_tokens: 400,
    }).finalChatCompletion();
    const call = gathered.choices[0].message.tool_calls[0].function;
    assert.equal(call.name, 'get_weather');
    assert.deepEqual(JSON.parse(call.arguments), JSON.parse(whole.choices[0].message.tool_calls[0].function.arguments));
    assert.equal(gathered.choices[0].finish_reason, 'tool_calls');
  });

  test(`${provider}: the parse helper gets an object of its schema`, async () => {
    const completion = await client.chat.completions.parse({
      model: route, messages: ask('A site map'), response_format: zodResponseFormat(Site, 'site'),
      max_completion_tokens: 400,
    });
    const site = completion.choices[0].message.parsed;
    assert.equal(site.title, 'example title');
    assert.equal(site.pages[0].path, 'example path');
  });

  test(`${provider}: a system message, an earlier turn and an image are understood`, async () => {
    const answer = await client.chat.completions.create({
      model: route, max_completion_tokens: 300, temperature: 0.5, top_p: 0.9, stop: ['zebra'],
      messages: [
        { role: 'system', content: 'You are brief' },
        { role: 'user', content: 'Hello' },
        { role: 'assistant', content: 'Hi!' },
        { role: 'user', content: [
          { type: 'text', text: 'What is this?' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,aGVsbG8=' } },
        ] },
      ],
    });
    assert.match(answer.choices[0].message.content, /on: What is this\?/);
    assert.equal(answer.usage.prompt_tokens, Math.ceil((13 + 5 + 3 + 13) / 4) + 85);
  });

  test(`${provider}: an output cap ends with the reason "length"`, async () => {
    const answer = await client.chat.completions.create({ model: route, messages: ask('Be long'), max_tokens: 7 });
    assert.equal(answer.choices[0].finish_reason, 'length');
    assert.equal(answer.usage.completion_tokens, 7);
  });

  test(`${provider}: the Responses API answers too`, async () => {
    const expected = await wordsFor('A website about trains');
    const response = await client.responses.create({
      model: route, input: 'A website about trains', max_output_tokens: 500,
    });
    assert.equal(response.output_text, expected.text);
    assert.equal(response.status, 'completed');
    assert.equal(response.usage.input_tokens, expected.usage.prompt_tokens);
    assert.equal(response.usage.output_tokens, expected.usage.completion_tokens);
  });

  test(`${provider}: the Responses API streams`, async () => {
    const expected = await wordsFor('A website about planes');
    const stream = await client.responses.create({
      model: route, input: [{ role: 'user', content: 'A website about planes' }], stream: true,
    });
    let text = '';
    const kinds = [];
    let done;
    for await (const event of stream) {
      kinds.push(event.type);
      if (event.type === 'response.output_text.delta') text += event.delta;
      if (event.type === 'response.completed') done = event.response;
    }
    assert.equal(text, expected.text);
    assert.equal(kinds[0], 'response.created');
    assert.equal(done.usage.output_tokens, expected.usage.completion_tokens);
  });

  test(`${provider}: the Responses API calls tools and takes their results`, async () => {
    const tool = { type: 'function', name: weather.name, description: weather.description,
      parameters: weather.schema, strict: true };
    const input = [{ role: 'user', content: 'Use get_weather for Porto' }];
    const first = await client.responses.create({ model: route, input, tools: [tool], max_output_tokens: 400 });
    const call = first.output.find((item) => item.type === 'function_call');
    assert.equal(call.name, 'get_weather');
    const second = await client.responses.create({
      model: route, tools: [tool], max_output_tokens: 400,
      input: [...input, ...first.output, { type: 'function_call_output', call_id: call.call_id, output: 'rain' }],
    });
    assert.match(second.output_text, /read: rain/);
  });
}

test('several tools called at once come as several calls', async () => {
  const two = [...tools, { type: 'function', function: { name: 'get_tides', parameters: weather.schema } }];
  for (const provider of providers) {
    const answer = await client.chat.completions.create({
      model: `dynamic/on-${provider}`, tools: two, messages: ask('get_weather and get_tides'), max_completion_tokens: 400,
    });
    const names = answer.choices[0].message.tool_calls.map((call) => call.function.name);
    assert.deepEqual(names, ['get_weather', 'get_tides'], provider);
  }
});

test('embeddings come as numbers, encoded or not, through a route and by a plain model', async () => {
  for (const name of ['dynamic/embedded', 'openai/text-embedding-3-small', 'azure-openai/text-embedding-3-small']) {
    const encoded = await client.embeddings.create({ model: name, input: ['hello', 'world'], dimensions: 16 });
    const plain = await client.embeddings.create({
      model: name, input: ['hello', 'world'], dimensions: 16, encoding_format: 'float',
    });
    assert.equal(encoded.data.length, 2);
    assert.equal(encoded.data[1].embedding.length, 16);
    encoded.data[1].embedding.forEach((number, i) => {
      assert.ok(Math.abs(number - plain.data[1].embedding[i]) < 1e-6);
    });
    assert.equal(encoded.usage.prompt_tokens, 4);
  }
});

test('a plain model is called at the provider that is named', async () => {
  for (const [provider, name] of [['openai', 'gpt-4o-mini'], ['anthropic', 'claude-haiku-4-5'],
    ['google-ai-studio', 'gemini-2.5-flash'], ['aws-bedrock', 'anthropic.claude-haiku-4-5-20251001-v1:0']]) {
    const expected = await wordsFor('A plain question', name);
    const { data, response } = await client.chat.completions
      .create({ model: `${provider}/${name}`, messages: ask('A plain question'), max_completion_tokens: 500 })
      .withResponse();
    assert.equal(data.choices[0].message.content, expected.text);
    assert.equal(response.headers.get('cf-aig-provider'), provider);
    assert.equal(response.headers.get('cf-aig-model'), name);
  }
});

test('a sick model is replaced by the next one, and the client never knows', async () => {
  const { data, response } = await client.chat.completions
    .create({ model: 'dynamic/healed', messages: ask('Heal'), max_completion_tokens: 300 }).withResponse();
  assert.equal(data.choices[0].message.content, (await wordsFor('Heal')).text);
  assert.equal(response.headers.get('cf-aig-step'), '1');
});

test('errors are the classes an application catches', async () => {
  await assert.rejects(
    new OpenAI({ baseURL: `${proxy}/v1`, apiKey: 'sbx_wrong', maxRetries: 0 }).chat.completions
      .create({ model: 'dynamic/on-openai', messages: ask('x') }),
    OpenAI.AuthenticationError);
  await assert.rejects(client.chat.completions.create({ model: 'dynamic/nowhere', messages: ask('x') }),
    OpenAI.NotFoundError);
  await assert.rejects(client.chat.completions.create({ model: 'dynamic/on-anthropic', messages: [] }),
    OpenAI.BadRequestError);
  await assert.rejects(client.chat.completions.create({ model: 'dynamic/on-google', messages: ask('x'), logit_bias: { 5: 1 } }),
    (error) => error instanceof OpenAI.BadRequestError && error.code === 'unsupported_parameter' &&
      /logit_bias/.test(error.message));
});
