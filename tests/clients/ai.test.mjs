// Vercel's ai with @ai-sdk/openai-compatible: text, streams, tools and objects.
import assert from 'node:assert/strict';
import test from 'node:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { embedMany, generateObject, generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';
import { key, providers, proxy, wordsFor } from './proxy.mjs';

const signalbox = createOpenAICompatible({
  name: 'signalbox', baseURL: `${proxy}/v1`, apiKey: key, includeUsage: true, supportsStructuredOutputs: true,
});

for (const provider of providers) {
  const model = signalbox(`dynamic/on-${provider}`);

  test(`${provider}: generateText has the provider's words and tokens`, async () => {
    const expected = await wordsFor('A website about kites');
    const answer = await generateText({ model, prompt: 'A website about kites', maxRetries: 0 });
    assert.equal(answer.text, expected.text);
    assert.equal(answer.finishReason, 'stop');
    assert.equal(answer.usage.inputTokens, expected.usage.prompt_tokens);
    assert.equal(answer.usage.outputTokens, expected.usage.completion_tokens);
  });

  test(`${provider}: streamText says the same`, async () => {
    const expected = await wordsFor('A website about boats');
    const stream = streamText({ model, prompt: 'A website about boats', maxRetries: 0 });
    let text = '';
    for await (const piece of stream.textStream) text += piece;
    assert.equal(text, expected.text);
    assert.equal((await stream.usage).outputTokens, expected.usage.completion_tokens);
  });

  test(`${provider}: a tool runs between two steps`, async () => {
    const asked = [];
    const answer = await generateText({
      model, prompt: 'Use get_weather for Lisbon', maxRetries: 0, stopWhen: stepCountIs(3), maxOutputTokens: 500,
      tools: {
        get_weather: tool({
          description: 'The weather in a city',
          inputSchema: z.object({ city: z.string() }),
          execute: async ({ city }) => { asked.push(city); return 'sunny all day'; },
        }),
      },
    });
    assert.deepEqual(asked, ['example city']);
    assert.equal(answer.steps.length, 2);
    assert.match(answer.text, /sunny all day/);
  });

  test(`${provider}: generateObject gets an object of its schema`, async () => {
    const answer = await generateObject({
      model, prompt: 'A page', maxRetries: 0,
      schema: z.object({ title: z.string(), words: z.number(), tags: z.array(z.string()) }),
    });
    assert.equal(answer.object.title, 'example title');
    assert.deepEqual(answer.object.tags, ['example tags']);
  });
}

test('embedMany embeds', async () => {
  const { embeddings, usage } = await embedMany({
    model: signalbox.textEmbeddingModel('openai/text-embedding-3-small'), values: ['hello', 'world'],
  });
  assert.equal(embeddings.length, 2);
  assert.equal(embeddings[0].length, 1536);
  assert.equal(usage.tokens, 4);
});
