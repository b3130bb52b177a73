// Where the proxy is, and what the simulated provider would have said: shared by the tests of every client.
import assert from 'node:assert/strict';

export const proxy = process.env.SIGNALBOX_URL;
export const key = process.env.SIGNALBOX_KEY;
export const providerKey = 'sk-the-providers-own-secret';
export const model = 'claude-haiku-4-5'; // on every route, whichever provider has it
export const providers = ['openai', 'groq', 'anthropic', 'google', 'aws-bedrock', 'azure-openai', 'azure-v1'];

// The simulated provider's own words for a prompt, asked past the proxy.
export async function wordsFor(prompt, name = model) {
  const response = await fetch(`${process.env.SIGNALBOX_PROVIDER}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${providerKey}` },
    body: JSON.stringify({ model: name, messages: [{ role: 'user', content: prompt }] }),
  });
  const answer = await response.json();
  return { text: answer.choices[0].message.content, usage: answer.usage };
}

// The record the ledger has of a request, once it has arrived.
export async function recordOf(requestId) {
  for (let tries = 0; tries < 600; ++tries) {
    const response = await fetch(`${process.env.SIGNALBOX_API}/v1/gateways/default/requests/${requestId}`, {
      headers: { authorization: `Bearer ${process.env.SIGNALBOX_ADMIN_TOKEN}` },
    });
    if (response.ok) return response.json();
    await response.text();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return assert.fail(`no record of ${requestId} came`);
}

export const weather = {
  name: 'get_weather',
  description: 'The weather in a city',
  schema: {
    type: 'object',
    properties: { city: { type: 'string' }, days: { type: 'integer' } },
    required: ['city', 'days'],
    additionalProperties: false,
  },
};
