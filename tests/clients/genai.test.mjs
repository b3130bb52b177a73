// The official Google client through the provider-native path: the gateway's auth, metering and records, Google's own
// requests and answers.
import assert from 'node:assert/strict';
import test from 'node:test';
import { FunctionCallingConfigMode, GoogleGenAI, Type } from '@google/genai';
import { key, proxy, recordOf, wordsFor } from './proxy.mjs';

const model = 'gemini-2.5-flash';
const client = new GoogleGenAI({
  apiKey: key, httpOptions: { baseUrl: `${proxy}/v1/account/default/google-ai-studio` },
});
const declaration = {
  name: 'get_weather',
  description: 'The weather in a city',
  parameters: { type: Type.OBJECT, properties: { city: { type: Type.STRING } }, required: ['city'] },
};

test("generateContent has the provider's words and tokens", async () => {
  const expected = await wordsFor('A website about kites', model);
  const answer = await client.models.generateContent({ model, contents: 'A website about kites' });
  assert.equal(answer.text, expected.text);
  assert.equal(answer.usageMetadata.promptTokenCount, expected.usage.prompt_tokens);
  assert.equal(answer.usageMetadata.candidatesTokenCount, expected.usage.completion_tokens);
  assert.equal(answer.candidates[0].finishReason, 'STOP');
});

test('generateContentStream says the same piece by piece', async () => {
  const expected = await wordsFor('A website about boats', model);
  const stream = await client.models.generateContentStream({ model, contents: 'A website about boats' });
  let text = '';
  let last;
  for await (const chunk of stream) { text += chunk.text ?? ''; last = chunk; }
  assert.equal(text, expected.text);
  assert.equal(last.usageMetadata.candidatesTokenCount, expected.usage.completion_tokens);
});

test('functions are called and answered', async () => {
  const config = {
    tools: [{ functionDeclarations: [declaration] }],
    toolConfig: { functionCallingConfig: { mode: FunctionCallingConfigMode.ANY } },
  };
  const first = await client.models.generateContent({ model, contents: 'Weather?', config });
  assert.equal(first.functionCalls[0].name, 'get_weather');
  assert.equal(first.functionCalls[0].args.city, 'example city');
  const second = await client.models.generateContent({
    model,
    contents: [{ role: 'user', parts: [{ text: 'Weather?' }] }, first.candidates[0].content,
      { role: 'user', parts: [{ functionResponse: { name: 'get_weather', response: { output: 'sunny' } } }] }],
    config: { tools: config.tools },
  });
  assert.match(second.text, /read: sunny/);
});

test('structured output is JSON of the schema', async () => {
  const answer = await client.models.generateContent({
    model, contents: 'A title',
    config: {
      responseMimeType: 'application/json',
      responseSchema: { type: Type.OBJECT, properties: { title: { type: Type.STRING } } },
    },
  });
  assert.deepEqual(JSON.parse(answer.text), { title: 'example title' });
});

test('the request is metered and recorded like any other', async () => {
  const response = await fetch(`${proxy}/v1/account/default/google-ai-studio/v1beta/models/${model}:generateContent`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-goog-api-key': key },
    body: JSON.stringify({ contents: [{ role: 'user', parts: [{ text: 'Count me' }] }] }),
  });
  assert.equal(response.status, 200);
  const { usageMetadata } = await response.json();
  const record = await recordOf(response.headers.get('cf-aig-log-id'));
  const [attempt] = record.attempts;
  assert.equal(attempt.provider, 'google-ai-studio');
  assert.equal(attempt.model, model);
  // $0.30 and $2.50 a million.
  assert.equal(Number(record.costNanos),
    usageMetadata.promptTokenCount * 300 + usageMetadata.candidatesTokenCount * 2500);
});

test('a wrong key is refused before the provider sees anything', async () => {
  const stranger = new GoogleGenAI({
    apiKey: 'sbx_wrong', httpOptions: { baseUrl: `${proxy}/v1/account/default/google-ai-studio` },
  });
  await assert.rejects(stranger.models.generateContent({ model, contents: 'x' }), /got status: 401/);
});
