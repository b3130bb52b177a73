// A whole Signalbox for the console's tests: the real binaries on free ports, in a folder that goes with them. Started
// and stopped by with_stack.mjs; tests hear of it by environment variables.
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { eventually } from "./eventually.mjs";

export const kRoot = new URL("../..", import.meta.url).pathname;
const kBin = process.env.SIGNALBOX_BIN_DIR ?? join(kRoot, "build/release/bin");
const kProviderKey = "sk-simulated";
const kQuotaToken = "sbt_of-the-control-plane";
const kStartMs = 60_000;
const kStopMs = 30_000;

// One process; `addresses` by kind, from its `listening KIND host:port` lines.
class Member {
  constructor(name, child, logFile) {
    this.name = name;
    this.child = child;
    this.logFile = logFile;
    this.addresses = {};
    this.ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve(signal ?? code)));
  }

  async listening(kinds) {
    const lines = createInterface({ input: this.child.stdout });
    const all = new Promise((resolve) =>
      lines.on("line", (line) => {
        const [word, kind, address] = line.split(" ");
        if (word === "listening") this.addresses[kind] = address;
        if (kinds.every((wanted) => this.addresses[wanted])) resolve("up");
      }),
    );
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(() => resolve("late"), kStartMs)));
    const outcome = await Promise.race([all, late, this.ended.then((status) => `ended (${status})`)]);
    clearTimeout(timer);
    if (outcome === "up") return;
    const log = await readFile(this.logFile, "utf8");
    throw new Error(`${this.name} did not start: ${outcome}\n${log.split("\n").slice(-15).join("\n")}`);
  }

  async stop() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.child.kill("SIGKILL"), kStopMs);
    await this.ended;
    clearTimeout(timer);
  }
}

export class Stack {
  static async start() {
    const stack = new Stack();
    stack.directory = await mkdtemp(join(tmpdir(), "signalbox-console-"));
    stack.members = [];
    try {
      await stack.#startAll();
    } catch (error) {
      await stack.stop();
      throw error;
    }
    return stack;
  }

  path(name) {
    return join(this.directory, name);
  }

  async #startAll() {
    await mkdir(this.path("log"));
    const provider = await this.#member("provider", "signalbox-simprovider", { address: "http" }, [
      `--require_key=${kProviderKey}`,
      "--latency_ms=20",
      "--chunk_interval_ms=5",
    ]);
    // The first start makes the tokens that the quota service accepts, whose address the second one needs.
    const data = `--data_dir=${this.path("controlplane")}`;
    const first = await this.#member("first", "signalbox-controlplane", { grpc_address: "grpc", http_address: "http" }, [data, "--quota=off"]);
    await first.stop();
    const proxyToken = this.path("controlplane/proxy.token");
    await writeFile(this.path("quota-admin.token"), `${kQuotaToken}\n`, { mode: 0o600 });
    await writeFile(this.path("quota.tokens"), `admin ${kQuotaToken}\n${await readFile(proxyToken, "utf8")}`, { mode: 0o600 });
    const quota = await this.#member("quota", "signalbox-quota", { grpc_address: "grpc" }, [
      `--data_dir=${this.path("quota")}`,
      `--token_file=${this.path("quota.tokens")}`,
    ]);
    const plane = await this.#member("controlplane", "signalbox-controlplane", { grpc_address: "grpc", http_address: "http" }, [
      data,
      `--quota=${quota.addresses.grpc}`,
      `--quota_token_file=${this.path("quota-admin.token")}`,
      `--console_dir=${join(kRoot, "controlplane/console/dist")}`,
    ]);
    const proxies = await Promise.all(
      ["proxy-1", "proxy-2"].map((name) =>
        this.#member(name, "signalbox-proxy", { http_address: "http", admin_address: "admin" }, [
          `--proxy_id=${name}`,
          `--data_dir=${this.path(name)}`,
          `--control_plane=${plane.addresses.grpc}`,
          `--quota=${quota.addresses.grpc}`,
          `--token_file=${proxyToken}`,
        ]),
      ),
    );
    const adminToken = (await readFile(this.path("controlplane/admin.token"), "utf8")).trim();
    this.environment = {
      SIGNALBOX_CONSOLE: `http://${plane.addresses.http}`,
      SIGNALBOX_ADMIN_TOKEN: adminToken,
      SIGNALBOX_PROXIES: proxies.map((proxy) => `http://${proxy.addresses.http}`).join(" "),
      SIGNALBOX_PROVIDER: `http://${provider.addresses.http}`,
      SIGNALBOX_PROVIDER_KEY: kProviderKey,
    };
    await eventually("both proxies to call in", async () => {
      const answer = await fetch(`http://${plane.addresses.http}/v1/proxies`, { headers: { authorization: `Bearer ${adminToken}` } });
      const { proxies: known = [] } = await answer.json();
      return known.filter((proxy) => proxy.connected).length === proxies.length;
    });
  }

  // `listens`: flag to the kind it is announced as.
  async #member(name, program, listens, flags) {
    const logFile = this.path(`log/${name}.log`);
    const log = await open(logFile, "w");
    const addresses = Object.keys(listens).map((flag) => `--${flag}=127.0.0.1:0`);
    const child = spawn(join(kBin, program), [...flags, ...addresses], { stdio: ["ignore", "pipe", log.fd] });
    const failed = new Promise((_, reject) => child.once("error", reject));
    const member = new Member(name, child, logFile);
    this.members.push(member);
    await Promise.race([member.listening(Object.values(listens)), failed]);
    await log.close();
    return member;
  }

  // Last started, first stopped.
  async stop() {
    for (const member of [...this.members].reverse()) await member.stop();
    if (process.env.SIGNALBOX_KEEP_STACK) console.error(`kept ${this.directory}`);
    else await rm(this.directory, { recursive: true, force: true });
  }
}
