// The console as it was built, read whole at the start: a request is looked up by its path in a map, so that nothing
// outside the directory can ever be reached. Immutable; any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace signalbox {

struct StaticFile {
  std::string content;
  std::string gzip;  // of the content; empty where that is not shorter
  std::string content_type;
  std::string etag;        // quoted
  bool immutable = false;  // its name changes with its content
};

class StaticFiles {
 public:
  // Every regular file under `directory`, index.html among them. FAILED_PRECONDITION names a file of unknown type, a
  // missing index.html, or says that all of it is over kConsoleBytesMax; UNAVAILABLE names what cannot be read.
  // Symbolic links and *.gz, *.br are passed over.
  static absl::StatusOr<StaticFiles> Load(const std::string& directory);

  // `path` as /assets/a.js, decoded; "/" is index.html. Null: no such file.
  const StaticFile* Find(std::string_view path) const;
  // What is shown at a path that is no file but a place in the console.
  const StaticFile& index() const { return files_.find("/index.html")->second; }

 private:
  std::map<std::string, StaticFile, std::less<>> files_;  // by path
};

}  // namespace signalbox
