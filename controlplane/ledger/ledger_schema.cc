#include "controlplane/ledger/ledger_schema.h"

namespace signalbox {

const std::vector<std::string>& LedgerMigrations() {
  static const auto* const steps = new std::vector<std::string>{
      // `record` is the whole record; the columns beside it are what queries filter and group by.
      R"(CREATE TABLE requests (
           id INTEGER PRIMARY KEY AUTOINCREMENT,
           request_id TEXT NOT NULL UNIQUE,
           gateway TEXT NOT NULL,
           route_id TEXT NOT NULL,
           route TEXT NOT NULL,
           version INTEGER NOT NULL,
           key_id TEXT NOT NULL,
           identifier TEXT NOT NULL,
           outcome INTEGER NOT NULL,
           start_time_us INTEGER NOT NULL,
           cost_nanos INTEGER NOT NULL,
           record BLOB NOT NULL
         );
         CREATE INDEX requests_by_time ON requests (gateway, start_time_us, id);
         CREATE INDEX requests_by_identifier ON requests (gateway, identifier, start_time_us);
         CREATE TABLE charges (
           request INTEGER NOT NULL REFERENCES requests (id) ON DELETE CASCADE,
           ordinal INTEGER NOT NULL,
           provider TEXT NOT NULL,
           model TEXT NOT NULL,
           input INTEGER NOT NULL,
           cached_input INTEGER NOT NULL,
           cache_write INTEGER NOT NULL,
           output INTEGER NOT NULL,
           reasoning INTEGER NOT NULL,
           cost_nanos INTEGER NOT NULL,
           estimated INTEGER NOT NULL,
           PRIMARY KEY (request, ordinal)
         ) WITHOUT ROWID;)",
      // `open`: suspended, and neither the real record nor a settlement has come. `horizon_us`: what started before it
      // and is not open was deleted; kept, so that neither a restart nor a longer retention lets it in again.
      R"(ALTER TABLE requests ADD COLUMN open INTEGER NOT NULL DEFAULT 0;
         UPDATE requests SET open = 1 WHERE outcome = 7;
         CREATE INDEX requests_open ON requests (id) WHERE open = 1;
         CREATE TABLE retention (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), horizon_us INTEGER NOT NULL);
         INSERT INTO retention (only_row, horizon_us) VALUES (1, 0);)",
      // `listed`: 0 where the client or the gateway wants no log; such a record is counted and shown to nobody. Bodies
      // are apart from the records, so that lists do not read them.
      R"(ALTER TABLE requests ADD COLUMN cache INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE requests ADD COLUMN endpoint TEXT NOT NULL DEFAULT '';
         ALTER TABLE requests ADD COLUMN listed INTEGER NOT NULL DEFAULT 1;
         ALTER TABLE charges ADD COLUMN audio_input INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE charges ADD COLUMN audio_output INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE charges ADD COLUMN cache_write_1h INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE charges ADD COLUMN cached_audio_input INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE charges ADD COLUMN image_input INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE charges ADD COLUMN cached_image_input INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE charges ADD COLUMN image_output INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE charges ADD COLUMN video_input INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE charges ADD COLUMN video_output INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE charges ADD COLUMN citation INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE charges ADD COLUMN web_searches INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE charges ADD COLUMN storage_searches INTEGER NOT NULL DEFAULT 0;
         CREATE TABLE payloads (
           request INTEGER PRIMARY KEY REFERENCES requests (id) ON DELETE CASCADE,
           request_body BLOB NOT NULL,
           response_body BLOB NOT NULL
         );)",
      // What filters and latencies need. `answered`: the ordinal of the charge of a success that no cache answered, so
      // that its latency counts once and where it was answered; -1: none. `status` -1: written before these columns
      // were
      // there, filled in from the record at the next start.
      R"(ALTER TABLE requests ADD COLUMN status INTEGER NOT NULL DEFAULT -1;
         ALTER TABLE requests ADD COLUMN provider TEXT NOT NULL DEFAULT '';
         ALTER TABLE requests ADD COLUMN model TEXT NOT NULL DEFAULT '';
         ALTER TABLE requests ADD COLUMN error_code TEXT NOT NULL DEFAULT '';
         ALTER TABLE requests ADD COLUMN duration_us INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE requests ADD COLUMN duration_bucket INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE requests ADD COLUMN first_byte_bucket INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE requests ADD COLUMN answered INTEGER NOT NULL DEFAULT -1;
         CREATE INDEX requests_to_fill_in ON requests (id) WHERE status = -1;)",
      // An identifier's requests. As an index of SQLite's each record touched a page of its own; this one is brought up
      // to `identified_through` in bulk (SqliteLedger::IndexIdentifiers), and what came since is in memory.
      R"(CREATE TABLE identifier_index (
           gateway TEXT NOT NULL,
           identifier TEXT NOT NULL,
           start_time_us INTEGER NOT NULL,
           id INTEGER NOT NULL,
           PRIMARY KEY (gateway, identifier, start_time_us, id)
         ) WITHOUT ROWID;
         INSERT INTO identifier_index SELECT gateway, identifier, start_time_us, id FROM requests
           WHERE identifier <> '' ORDER BY gateway, identifier, start_time_us, id;
         DROP INDEX requests_by_identifier;
         ALTER TABLE retention ADD COLUMN identified_through INTEGER NOT NULL DEFAULT 0;
         UPDATE retention SET identified_through = (SELECT ifnull(max(id), 0) FROM requests);)",
  };
  return *steps;
}

const std::string& LedgerConnectionSetup() {
  static const auto* const setup = new std::string(R"(
      ATTACH ':memory:' AS recent;
      CREATE TABLE recent.recent_identifiers (
        gateway TEXT NOT NULL,
        identifier TEXT NOT NULL,
        start_time_us INTEGER NOT NULL,
        id INTEGER NOT NULL,
        PRIMARY KEY (gateway, identifier, start_time_us, id)
      ) WITHOUT ROWID;
      CREATE TEMP VIEW identified_requests AS
        SELECT gateway, identifier, start_time_us, id FROM identifier_index
        UNION ALL SELECT gateway, identifier, start_time_us, id FROM recent_identifiers;
      CREATE TEMP TRIGGER forget_identifier AFTER DELETE ON requests WHEN old.identifier <> '' BEGIN
        DELETE FROM identifier_index WHERE gateway = old.gateway AND identifier = old.identifier
          AND start_time_us = old.start_time_us AND id = old.id;
        DELETE FROM recent_identifiers WHERE gateway = old.gateway AND identifier = old.identifier
          AND start_time_us = old.start_time_us AND id = old.id;
      END;
      INSERT INTO recent_identifiers SELECT gateway, identifier, start_time_us, id FROM requests
        WHERE id > (SELECT identified_through FROM retention) AND identifier <> '';)");
  return *setup;
}

}  // namespace signalbox
