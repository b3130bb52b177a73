import react from "@vitejs/plugin-react";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { controlPlaneProxy, sessionStandIn } from "./dev/server";

// `npm run dev` talks to the control plane at SIGNALBOX_HTTP. With SIGNALBOX_TOKEN_FILE the development server signs
// every call with that token and answers /session itself; without, the sign-in page works as it does when deployed.
export default defineConfig(() => {
  const target = process.env.SIGNALBOX_HTTP ?? "http://127.0.0.1:9091";
  const tokenFile = process.env.SIGNALBOX_TOKEN_FILE;
  return {
    plugins: [react(), ...(tokenFile ? [sessionStandIn(target, tokenFile)] : [])],
    resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
    server: { proxy: controlPlaneProxy(target, tokenFile), fs: { allow: ["../.."] } },
    build: {
      target: "es2022",
      minify: "terser" as const,
      terserOptions: { compress: { passes: 2 } },
      assetsInlineLimit: 0,
      rollupOptions: {
        output: {
          manualChunks: {
            react: ["react", "react-dom", "wouter", "@tanstack/react-query"],
            flow: ["@xyflow/react"],
            charts: ["recharts"],
          },
        },
      },
    },
    test: { include: ["src/**/*.test.ts"] },
  };
});
