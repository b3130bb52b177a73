// Our catalogue and price engine against the oracle: calcPrice of @pydantic/genai-prices, the package the catalogue is
// made of. Every price of every provider, over seeded random usages at times around every change of a price; and which
// price a name leads to. Run by ctest; SIGNALBOX_PRICE_ORACLE_DRIVER is price_oracle_driver.
//   SIGNALBOX_ORACLE_SEED, SIGNALBOX_ORACLE_USAGES: other draws, more of them
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'

const require = createRequire(new URL('../../../controlplane/prices/package.json', import.meta.url))
const { calcPrice, waitForUpdate } = require('@pydantic/genai-prices')
const providers = await waitForUpdate()
const driver = process.env.SIGNALBOX_PRICE_ORACLE_DRIVER
const seed = Number(process.env.SIGNALBOX_ORACLE_SEED ?? 4)
const usageCount = Number(process.env.SIGNALBOX_ORACLE_USAGES ?? 2000)

// Models whose price may differ: [{ "provider", "model", "reason" }], at most ten.
const exceptions = JSON.parse(readFileSync(new URL('calc_price_exceptions.json', import.meta.url), 'utf8'))
const excepted = (provider, model) => exceptions.some((e) => e.provider === provider && e.model === model)

// mulberry32
function generator(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
const random = generator(seed)
const below = (n) => Math.floor(random() * n)

// Microseconds before, at and after every date and time of day that the data names, today, and any time of two years.
const instants = (() => {
  const result = [Date.UTC(2026, 10, 22, 12)]
  const days = [Date.UTC(2025, 0, 15), Date.UTC(2026, 7, 17), Date.UTC(2026, 8, 30)]
  for (const price of providers.flatMap((p) => p.models).flatMap((m) => (Array.isArray(m.prices) ? m.prices : []))) {
    const { start_date: date, start_time: start, end_time: end } = price.constraint ?? {}
    const at = date ? [Date.parse(`${date}T00:00:00Z`)] : []
    for (const time of [start, end]) if (time) at.push(...days.map((day) => Date.parse(`${new Date(day).toISOString().slice(0, 10)}T${time}`)))
    for (const ms of at) result.push(ms - 1, ms, ms + 1)
  }
  for (let i = 0; i < 50; ++i) result.push(Date.UTC(2025, 0, 1) + below(2 * 365 * 86400) * 1000)
  return [...new Set(result)]
})()
const tierStarts = [...new Set(JSON.stringify(providers).match(/"start":\d+/g).map((s) => Number(s.slice(8))))]

// Disjoint parts first, so that what the usage says is never more than the whole; then sums.
function drawUsage(i) {
  const sizes = [0, 1, 10, 1000, 30000, 300000]
  const part = (share) => (random() < share ? below(sizes[below(sizes.length)] + 1) : 0)
  const [cachedText, cachedAudio, cachedImage] = [part(0.4), part(0.2), part(0.2)]
  const [write5m, write1h] = [part(0.3), part(0.3)]
  const [audio, image, video] = [part(0.2), part(0.2), part(0.1)]
  let input = cachedText + cachedAudio + cachedImage + write5m + write1h + audio + image + video + part(0.9)
  // Some at the very border of a tier.
  const border = tierStarts[below(tierStarts.length)] + below(3) - 1
  if (i % 4 === 0 && border >= input) input = border
  const output = { reasoning: part(0.4), citation: part(0.1), audio: part(0.2), image: part(0.2), video: part(0.1) }
  return {
    timestamp: new Date(instants[i % instants.length]),
    usage: {
      input_tokens: input,
      cache_read_tokens: cachedText + cachedAudio + cachedImage,
      cache_write_tokens: write5m + write1h,
      cache_write_1h_tokens: write1h,
      input_audio_tokens: audio + cachedAudio,
      input_image_tokens: image + cachedImage,
      cache_audio_read_tokens: cachedAudio,
      cache_image_read_tokens: cachedImage,
      input_video_tokens: video,
      output_tokens: Object.values(output).reduce((a, b) => a + b) + part(0.9),
      output_reasoning_tokens: output.reasoning,
      output_citation_tokens: output.citation,
      output_audio_tokens: output.audio,
      output_image_tokens: output.image,
      output_video_tokens: output.video,
      web_searches: part(0.1) % 50,
      storage_searches: part(0.1) % 50,
    },
  }
}
const requests = Array.from({ length: usageCount }, (_, i) => drawUsage(i))
const usageLines = requests.map(({ usage, timestamp }) => `u ${timestamp.getTime() * 1000} ${Object.values(usage).join(' ')}`)

function ask(lines) {
  const input = [...usageLines, ...lines].join('\n') + '\n'
  const { status, stdout, stderr, error } = spawnSync(driver, { input, maxBuffer: 1 << 30, encoding: 'utf8' })
  assert.equal(error, undefined)
  assert.equal(status, 0, stderr)
  const answers = stdout.trimEnd().split('\n')
  assert.equal(answers.length, lines.length)
  return answers
}

// Ours is rounded up to whole nano-dollars, and prices are whole nano-dollars per million tokens. Theirs is a double.
const nanos = (dollars) => dollars * 1e9
const near = (ours, theirs) => Math.abs(ours - theirs) <= 1 + Math.abs(theirs) * 2 ** -48

test('there are at most ten exceptions, each of a model that exists and with its reason', () => {
  assert.ok(exceptions.length <= 10)
  for (const { provider, model, reason } of exceptions) {
    assert.ok(providers.find((p) => p.id === provider)?.models.some((m) => m.id === model), `${provider}/${model}`)
    assert.ok(reason?.length > 20, `${provider}/${model}`)
  }
})

test(`every model costs what calcPrice says, for ${usageCount} random usages (seed ${seed})`, (t) => {
  const models = providers.flatMap((p) => p.models.map((model, index) => ({ provider: p.id, index, model })))
  const answers = ask(models.map(({ provider, index }) => `m ${index}\t${provider}`))
  const wrong = []
  let compared = 0
  let notZero = 0
  models.forEach(({ provider, model }, i) => {
    // Other models of the provider must not get in the way, so that every price is asked for.
    const alone = { id: provider, name: provider, api_pattern: '', models: [{ ...model, match: { contains: '' } }] }
    const costs = answers[i].slice(model.id.length + 1).split(' ')
    assert.ok(answers[i].startsWith(`${model.id} `), `${answers[i].slice(0, 80)} is not ${model.id}`)
    assert.equal(costs.length, requests.length)
    requests.forEach(({ usage, timestamp }, k) => {
      const theirs = nanos(calcPrice(usage, model.id, { provider: alone, timestamp }).total_price)
      compared += 1
      if (theirs > 0) notZero += 1
      if (!near(Number(costs[k]), theirs) && !excepted(provider, model.id) && wrong.length < 20) {
        wrong.push(`${provider}/${model.id} at ${timestamp.toISOString()}: ${costs[k]}, not ${theirs}: ${JSON.stringify(usage)}`)
      }
    })
  })
  t.diagnostic(`${compared} costs of ${models.length} models compared, ${notZero} of them not zero`)
  assert.deepEqual(wrong, [])
  assert.ok(notZero > compared / 2)
})

// Names that the data means, and some it does not.
function namesOf(match) {
  if (match.or || match.and) {
    const all = (match.or ?? match.and).flatMap(namesOf)
    return match.and ? [...all, all.join('-')] : all
  }
  const text = match.equals ?? match.starts_with ?? match.ends_with ?? match.contains
  if (text !== undefined) return [text]
  const digits = (_, n) => String(20250314).repeat(2).slice(0, Number(n))
  return [match.regex.replace(/^\^|\$$/g, '').replace(/\\d\{(\d+)\}/g, digits).replace(/\\d/g, '7').replace(/\\/g, '')]
}
function variants(name) {
  const at = below(name.length + 1)
  return [
    name,
    name.toUpperCase(),
    ` ${name}\t`,
    `${name}-20250314`,
    `${name}-2025-03-14`,
    `${name}-20250230:x`,
    name.replace(/(\d{4})-(\d{2})-(\d{2})/g, '$1$2$3'),
    name.replace(/(20\d{2})(\d{2})(\d{2})/g, '$1-$2-$3'),
    `${name}:free`,
    `us.${name}`,
    `${name}-tts`,
    name.slice(0, at) + name.slice(at + 1),
  ]
}

test('every name leads to the model and the price that calcPrice finds', (t) => {
  const cases = []
  for (const provider of providers) {
    for (const model of provider.models) {
      for (const name of new Set([model.id, ...namesOf(model.match)].flatMap(variants))) {
        if (name.trim() && !/[\n\r]/.test(name)) cases.push({ provider: provider.id, name, k: below(requests.length) })
      }
    }
  }
  // Every fourth, and a different one with every seed: the oracle is slow at finding.
  const drawn = cases.filter(() => below(4) === 0)
  const answers = ask(drawn.map(({ provider, name, k }) => `f ${k}\t${provider}\t${name}`))
  const wrong = []
  let found = 0
  drawn.forEach(({ provider, name, k }, i) => {
    const { usage, timestamp } = requests[k]
    const theirs = calcPrice(usage, name, { providerId: provider, timestamp })
    const [place, cost] = answers[i].split('\t')
    if (theirs) found += 1
    const right = theirs ? place.endsWith(`/${theirs.model.id}`) && near(Number(cost), nanos(theirs.total_price)) : place === 'none'
    if (!right && !(theirs && excepted(provider, theirs.model.id)) && wrong.length < 20) {
      wrong.push(`${provider}: ${JSON.stringify(name)} is ${answers[i]}, not ${theirs ? `${theirs.model.id} ${nanos(theirs.total_price)}` : 'none'}`)
    }
  })
  t.diagnostic(`${drawn.length} of ${cases.length} names looked up, ${found} of them priced`)
  assert.deepEqual(wrong, [])
  assert.ok(found > drawn.length / 3 && found < drawn.length)
})
