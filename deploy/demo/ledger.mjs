// What the demonstration and the client tests ask the control plane: JSON over HTTP, with the admin token.
import { readFile } from 'node:fs/promises';

const adminToken = (await readFile(process.env.SIGNALBOX_ADMIN_TOKEN_FILE, 'utf8')).trim();

// null unless the answer is 2xx.
export async function getJson(url, token) {
  const response = await fetch(url, token ? { headers: { authorization: `Bearer ${token}` } } : {});
  return response.ok ? response.json() : null;
}

// Asks until `done` says yes to the answer, at most 15 s; the last answer either way.
export async function poll(ask, done) {
  const deadline = performance.now() + 15_000;
  for (;;) {
    const answer = await ask();
    if (done(answer) || performance.now() > deadline) return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// The record of a request by its cf-aig-log-id, once the proxy has reported it; null when it never does.
export const ledgerRecord = (id) =>
  poll(() => getJson(`${process.env.SIGNALBOX_API}/v1/gateways/default/requests/${id}`, adminToken),
    (record) => record !== null);
