// The header signalbox-limit, one for each limit that was decided on the way (docs/routes.md). Several come joined by
// commas; a pool's own commas are percent-encoded.
export interface LimitLeft {
  pool: string;
  unit: string; // usd, requests, tokens
  limit: number;
  remaining: number;
  resetS: number;
  shadow?: string;
}

export function parseLimits(header: string | null): LimitLeft[] {
  if (!header) return [];
  return header.split(",").map((one) => {
    const fields = new Map(
      one.split(";").map((pair): [string, string] => {
        const at = pair.indexOf("=");
        return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
      }),
    );
    return {
      pool: decode(fields.get("pool") ?? ""),
      unit: fields.get("unit") ?? "",
      limit: Number(fields.get("limit") ?? 0),
      remaining: Number(fields.get("remaining") ?? 0),
      resetS: Number(fields.get("reset") ?? 0),
      shadow: fields.get("shadow"),
    };
  });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
