#include "controlplane/http/static_files.h"

#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/sha256.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

struct ContentType {
  std::string_view extension;
  const char* type;
  bool text;  // worth compressing
};
constexpr ContentType kTypes[] = {
    {".html", "text/html; charset=utf-8", true},
    {".js", "text/javascript; charset=utf-8", true},
    {".css", "text/css; charset=utf-8", true},
    {".json", "application/json", true},
    {".map", "application/json", true},
    {".txt", "text/plain; charset=utf-8", true},
    {".svg", "image/svg+xml", true},
    {".png", "image/png", false},
    {".ico", "image/x-icon", false},
    {".webp", "image/webp", false},
    {".woff2", "font/woff2", false},
};

const ContentType* TypeOf(std::string_view extension) {
  for (const ContentType& type : kTypes) {
    if (type.extension == extension) return &type;
  }
  return nullptr;
}

// Empty when it cannot be done or is not shorter.
std::string Gzip(const std::string& content) {
  z_stream stream{};
  constexpr int kGzipWindow = 15 + 16;
  if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kGzipWindow, 9, Z_DEFAULT_STRATEGY) != Z_OK) return "";
  std::string compressed(deflateBound(&stream, content.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(compressed.data());
  stream.avail_out = static_cast<uInt>(compressed.size());
  const bool whole = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  compressed.resize(whole ? stream.total_out : 0);
  deflateEnd(&stream);
  return compressed.size() < content.size() ? compressed : "";
}

absl::Status Unusable(const std::string& directory, const std::string& why) {
  return absl::FailedPreconditionError(absl::StrCat("--console_dir=", directory, ": ", why));
}

}  // namespace

absl::StatusOr<StaticFiles> StaticFiles::Load(const std::string& directory) {
  StaticFiles loaded;
  size_t bytes = 0;
  std::error_code error;
  std::filesystem::recursive_directory_iterator entry(directory, error);
  for (; !error && entry != std::filesystem::recursive_directory_iterator(); entry.increment(error)) {
    if (entry->is_symlink() || !entry->is_regular_file()) continue;
    const std::string extension = entry->path().extension().string();
    if (extension == ".gz" || extension == ".br") continue;
    const std::string path = absl::StrCat("/", entry->path().lexically_relative(directory).generic_string());
    const ContentType* const type = TypeOf(extension);
    if (type == nullptr) return Unusable(directory, absl::StrCat(path, " is of no type that a console is made of"));
    if ((bytes += entry->file_size()) > kConsoleBytesMax) {
      return Unusable(directory, absl::StrCat("is over ", kConsoleBytesMax, " bytes, so it is no console"));
    }
    std::ifstream in(entry->path(), std::ios::binary);
    StaticFile file;
    file.content.assign(std::istreambuf_iterator<char>(in), {});
    if (!in) return absl::UnavailableError(absl::StrCat("cannot read ", entry->path().string()));
    file.content_type = type->type;
    file.etag = absl::StrCat("\"", Sha256Hex(file.content).substr(0, 32), "\"");
    file.immutable = path.starts_with("/assets/");
    if (type->text) file.gzip = Gzip(file.content);
    loaded.files_[path] = std::move(file);
  }
  if (error) return absl::UnavailableError(absl::StrCat("cannot read ", directory, ": ", error.message()));
  if (!loaded.files_.contains("/index.html")) return Unusable(directory, "has no index.html: build the console first");
  return loaded;
}

const StaticFile* StaticFiles::Find(std::string_view path) const {
  const auto found = files_.find(path == "/" ? "/index.html" : path);
  return found == files_.end() ? nullptr : &found->second;
}

}  // namespace signalbox
