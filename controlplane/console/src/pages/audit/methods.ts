// The names of changing calls as people say them.
import { paths } from "@/app/paths";

const kLabels: Record<string, string> = {
  CreateRoute: "created a route",
  SaveVersion: "saved a version",
  RenameRoute: "renamed a route",
  DeleteRoute: "deleted a route",
  Deploy: "deployed",
  Rollback: "rolled back",
  ApplyProvider: "set up a provider",
  DeleteProvider: "removed a provider",
  CreateKey: "created a key",
  RevokeKey: "revoked a key",
  SetPrice: "set a price",
  RefreshPrices: "refreshed prices",
  ResetCounter: "reset a counter",
  AdjustCounter: "adjusted a counter",
  CreateGateway: "created a gateway",
  UpdateGateway: "changed a gateway",
  CreateToken: "created a token",
  RevokeToken: "revoked a token",
  Backup: "made a backup",
  "session.start": "signed in",
  "session.end": "signed out",
  live_run: "ran live",
};

// The filter takes a method's last part, or the whole of one that is no call of a service.
export const kMethods = Object.entries(kLabels).map(([value, label]) => ({ value, label }));

export const methodLabel = (method: string) => kLabels[method] ?? kLabels[method.slice(method.lastIndexOf(".") + 1)] ?? method;

// Where what was changed can be looked at; null: nowhere.
export function resourcePath(gateway: string, resource: string): string | null {
  const space = resource.indexOf(" ");
  const [kind, name] = space < 0 ? [resource, ""] : [resource.slice(0, space), resource.slice(space + 1)];
  switch (kind) {
    case "route":
      return name === "" ? null : paths.versions(gateway, name);
    case "provider":
      return paths.providers(gateway);
    case "key":
      return paths.keys(gateway);
    case "price":
      return paths.prices(gateway);
    case "token":
      return paths.tokens(gateway);
    case "gateway":
      return paths.settings(name || gateway);
    default:
      return null;
  }
}
