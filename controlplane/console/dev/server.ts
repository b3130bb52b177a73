// The development server's half of the control plane: it passes API calls on and, given a token file, stands in for
// sign-in. Nothing here is in the build.
import { readFileSync } from "node:fs";
import type { Plugin, PreviewServer, ProxyOptions, ViteDevServer } from "vite";

export function controlPlaneProxy(target: string, tokenFile?: string): Record<string, ProxyOptions> {
  const headers = tokenFile ? { authorization: `Bearer ${readFileSync(tokenFile, "utf8").trim()}` } : undefined;
  const call: ProxyOptions = { target, headers };
  return tokenFile ? { "/v1": call } : { "/v1": call, "/session": call };
}

export function sessionStandIn(target: string, tokenFile: string): Plugin {
  const token = readFileSync(tokenFile, "utf8").trim();
  let signedOut = false;
  const answerSessions = ({ middlewares }: ViteDevServer | PreviewServer) => {
      middlewares.use("/session", async (request, response) => {
        if (request.method === "DELETE") {
          signedOut = true;
          response.statusCode = 204;
          return response.end();
        }
        if (request.method === "POST") signedOut = false;
        response.setHeader("content-type", "application/json");
        if (signedOut) {
          response.statusCode = 401;
          return response.end(JSON.stringify({ error: { code: "unauthenticated", message: "sign in" } }));
        }
        const answer = await fetch(`${target}/v1/gateways`, { headers: { authorization: `Bearer ${token}` } });
        const { gateways = [] } = (await answer.json()) as { gateways?: { name: string }[] };
        response.end(
          JSON.stringify({ name: "developer", role: "admin", csrf: "development", gateways: gateways.map((g) => g.name) }),
        );
      });
  };
  return { name: "session-stand-in", configureServer: answerSessions, configurePreviewServer: answerSessions };
}
