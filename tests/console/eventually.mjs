// Asks until the answer is yes, whatever the machine does meanwhile; the answer.
const kPatienceMs = 120_000;  // of a machine that does much else
const kPauseMs = 50;

export async function eventually(what, ask) {
  const deadline = performance.now() + kPatienceMs;
  let last;
  for (;;) {
    try {
      last = await ask();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}; the last answer: ${last?.stack ?? JSON.stringify(last)}`);
    await new Promise((resolve) => setTimeout(resolve, kPauseMs));
  }
}
