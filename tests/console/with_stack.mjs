// Runs a command beside a stack, with where it is in the environment, and ends with the command's status.
//   node with_stack.mjs COMMAND [ARGUMENT...]
import { spawn } from "node:child_process";
import { Stack } from "./stack.mjs";

const [command, ...rest] = process.argv.slice(2);
if (command === undefined) {
  console.error("usage: with_stack.mjs COMMAND [ARGUMENT...]");
  process.exit(2);
}
const stack = await Stack.start();
const child = spawn(command, rest, { stdio: "inherit", env: { ...process.env, ...stack.environment } });
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
const status = await new Promise((resolve) => {
  child.once("error", (error) => {
    console.error(error.message);
    resolve(127);
  });
  child.once("exit", (code) => resolve(code ?? 1));
});
await stack.stop();
process.exit(status);
