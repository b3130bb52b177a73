#include "controlplane/store/schema.h"

namespace signalbox {
namespace {

// Times are Unix microseconds. Blobs are named by the sha256 (32 bytes) of their content in the clear; the content
// of a sealed one is ciphertext, made once, so that the same content is always the same bytes.
constexpr char kFirst[] = R"sql(
CREATE TABLE meta(
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE gateways(
  name TEXT PRIMARY KEY,
  create_us INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE blobs(
  sha256 BLOB PRIMARY KEY,
  content BLOB NOT NULL,
  sealed INTEGER NOT NULL);

CREATE TABLE routes(
  id TEXT PRIMARY KEY,
  gateway TEXT NOT NULL REFERENCES gateways(name),
  name TEXT NOT NULL,
  revision INTEGER NOT NULL,           -- the etag: raised by every save and rename
  latest_version INTEGER NOT NULL,
  deployed_version INTEGER NOT NULL DEFAULT 0,
  create_us INTEGER NOT NULL,
  update_us INTEGER NOT NULL,
  tombstone_us INTEGER);
CREATE UNIQUE INDEX routes_live_name ON routes(gateway, name) WHERE tombstone_us IS NULL;

CREATE TABLE versions(
  route_id TEXT NOT NULL REFERENCES routes(id),
  number INTEGER NOT NULL,
  json TEXT NOT NULL,
  spec_sha256 TEXT NOT NULL,
  compiles INTEGER NOT NULL,
  faults BLOB NOT NULL,                -- signalbox.v1.Faults
  author TEXT NOT NULL,
  comment TEXT NOT NULL,
  create_us INTEGER NOT NULL,
  positions_json TEXT NOT NULL,
  blob_sha256 BLOB REFERENCES blobs(sha256),
  PRIMARY KEY(route_id, number));
CREATE INDEX versions_blob ON versions(blob_sha256);

CREATE TABLE version_models(           -- what to recompile when a price changes
  route_id TEXT NOT NULL,
  version INTEGER NOT NULL,
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  PRIMARY KEY(route_id, version, provider, model),
  FOREIGN KEY(route_id, version) REFERENCES versions(route_id, number)) WITHOUT ROWID;
CREATE INDEX version_models_model ON version_models(provider, model);

CREATE TABLE deployments(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  route_id TEXT NOT NULL,
  version INTEGER NOT NULL,
  previous_version INTEGER NOT NULL,
  author TEXT NOT NULL,
  comment TEXT NOT NULL,
  create_us INTEGER NOT NULL,
  snapshot_sequence INTEGER NOT NULL,
  FOREIGN KEY(route_id, version) REFERENCES versions(route_id, number));
CREATE INDEX deployments_route ON deployments(route_id, id);

CREATE TABLE providers(
  gateway TEXT NOT NULL REFERENCES gateways(name),
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  base_url TEXT NOT NULL,
  headers BLOB NOT NULL,               -- signalbox.v1.Provider with headers only
  sealed_secret BLOB,
  update_us INTEGER NOT NULL,
  PRIMARY KEY(gateway, name)) WITHOUT ROWID;

CREATE TABLE keys(
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  gateway TEXT NOT NULL REFERENCES gateways(name),
  display_name TEXT NOT NULL,
  sha256 TEXT NOT NULL UNIQUE,         -- hex, of the key's text
  pinned_metadata_json TEXT NOT NULL,
  expire_us INTEGER NOT NULL,          -- 0: never
  create_us INTEGER NOT NULL,
  revoke_us INTEGER NOT NULL);         -- 0: not revoked
CREATE TABLE key_routes(               -- by id: a rename keeps the permission, a new route of an old name has none
  key_id TEXT NOT NULL REFERENCES keys(id),
  position INTEGER NOT NULL,
  route_id TEXT NOT NULL REFERENCES routes(id),
  PRIMARY KEY(key_id, position)) WITHOUT ROWID;
CREATE INDEX key_routes_route ON key_routes(route_id);

CREATE TABLE prices(
  gateway TEXT NOT NULL REFERENCES gateways(name),
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  price BLOB NOT NULL,                 -- signalbox.v1.ModelPrice
  update_us INTEGER NOT NULL,
  PRIMARY KEY(gateway, provider, model)) WITHOUT ROWID;

CREATE TABLE tokens(
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL,
  display_name TEXT NOT NULL,
  sha256 TEXT NOT NULL UNIQUE,
  create_us INTEGER NOT NULL,
  revoke_us INTEGER NOT NULL);

CREATE TABLE resources(                -- the current manifest
  name TEXT PRIMARY KEY,
  sha256 BLOB NOT NULL REFERENCES blobs(sha256)) WITHOUT ROWID;
CREATE INDEX resources_blob ON resources(sha256);

CREATE TABLE snapshots(
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  sha256 TEXT NOT NULL,
  routes INTEGER NOT NULL,
  cause TEXT NOT NULL,
  create_us INTEGER NOT NULL);
)sql";

// From here on `providers.headers` holds all of a signalbox.v1.Provider that has no column of its own, and an empty
// base_url is the well-known one. Anthropic was called through its OpenAI-compatible layer, which drops what it does
// not know; providers as every gateway got them now speak its own format.
constexpr char kProvidersAndSettings[] = R"sql(
ALTER TABLE gateways ADD COLUMN settings BLOB NOT NULL DEFAULT x'';    -- signalbox.v1.GatewaySettings
ALTER TABLE gateways ADD COLUMN default_route_id TEXT REFERENCES routes(id);  -- by id: a rename keeps it
ALTER TABLE keys ADD COLUMN cache_group TEXT NOT NULL DEFAULT '';
CREATE TABLE endpoint_secrets(
  gateway TEXT NOT NULL,
  provider TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  sealed_secret BLOB NOT NULL,
  PRIMARY KEY(gateway, provider, endpoint),
  FOREIGN KEY(gateway, provider) REFERENCES providers(gateway, name) ON DELETE CASCADE) WITHOUT ROWID;
UPDATE providers SET kind='anthropic', base_url=''
  WHERE name='anthropic' AND kind='openai' AND base_url='https://api.anthropic.com/v1';
)sql";

constexpr char kPriceCatalogue[] = R"sql(
CREATE TABLE price_catalogue(          -- one row: the catalogue that was fetched
  origin TEXT NOT NULL,                -- its URL; empty: none, the build's is in force
  content BLOB NOT NULL,
  update_us INTEGER NOT NULL,
  last_refresh_us INTEGER NOT NULL,    -- of the last try, whatever came of it; 0: none
  last_error TEXT NOT NULL);
INSERT INTO price_catalogue VALUES('', x'', 0, 0, '');
)sql";

constexpr char kConsole[] = R"sql(
CREATE TABLE audit(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  time_us INTEGER NOT NULL,
  who TEXT NOT NULL,
  token_id TEXT NOT NULL,
  role TEXT NOT NULL,
  method TEXT NOT NULL,
  gateway TEXT NOT NULL,
  resource TEXT NOT NULL,
  summary TEXT NOT NULL,
  error TEXT NOT NULL);
CREATE TABLE live_keys(                -- what a gateway's live runs from the console call proxies with
  gateway TEXT PRIMARY KEY REFERENCES gateways(name),
  key_id TEXT NOT NULL REFERENCES keys(id),
  sealed_text BLOB NOT NULL,
  snapshot_sequence INTEGER NOT NULL) WITHOUT ROWID;  -- from which on proxies know it
)sql";

}  // namespace

const std::vector<std::string>& StoreMigrations() {
  static const std::vector<std::string> steps = {kFirst, kProvidersAndSettings, kPriceCatalogue, kConsole};
  return steps;
}

}  // namespace signalbox
