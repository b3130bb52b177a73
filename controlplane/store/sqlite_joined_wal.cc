#include "controlplane/store/sqlite_joined_wal.h"

#include <sqlite3.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/mutex.h"

namespace signalbox {
namespace {

constexpr int kFrameHeaderBytes = 24;
constexpr int kCommitAt = 4;  // in a frame's header: 4 bytes, not 0 in the one that commits
// Of one transaction, but for a last page: SQLite's files take less than 128 KB at once.
constexpr size_t kHeldBytesMax = 48 << 10;
constexpr size_t kPageBytesMax = 64 << 10;

// The log of one connection. The base's file follows it in memory.
struct WalFile {
  sqlite3_file base;
  std::string* held;      // contiguous, from held_at on; whole frames but for the last
  sqlite3_int64 held_at;  // in the file
  sqlite3_int64 next;     // where the last write ended
  bool commits;           // the last header held says so
  bool joins;
  sqlite3_file* inner() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

WalFile& Of(sqlite3_file* file) { return *reinterpret_cast<WalFile*>(file); }
sqlite3_file* Inner(sqlite3_file* file) { return Of(file).inner(); }
const sqlite3_io_methods& Base(sqlite3_file* file) { return *Inner(file)->pMethods; }

int WriteHeld(sqlite3_file* file) {
  WalFile& wal = Of(file);
  if (wal.held->empty()) return SQLITE_OK;
  const int code = Base(file).xWrite(Inner(file), wal.held->data(), static_cast<int>(wal.held->size()), wal.held_at);
  if (code == SQLITE_OK) wal.held->clear();
  return code;
}

// Of a write. What could not be written is not tried again: SQLite takes back the transaction that it belongs to.
int WriteOrDropHeld(sqlite3_file* file) {
  const int code = WriteHeld(file);
  Of(file).held->clear();
  return code;
}

// A header that does not follow the last write begins where no frame of ours ended, or replaces one: it is written at
// once, and its page too.
int Write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) noexcept {
  WalFile& wal = Of(file);
  const bool follows = wal.joins && offset == wal.next;
  const bool is_header = size == kFrameHeaderBytes;
  wal.next = offset + size;
  if (!follows || (is_header && wal.held->size() >= kHeldBytesMax)) {
    if (const int code = WriteOrDropHeld(file); code != SQLITE_OK) return code;
  }
  if (!follows || (!is_header && wal.held->empty())) return Base(file).xWrite(Inner(file), data, size, offset);
  if (wal.held->empty()) wal.held_at = offset;
  wal.held->append(static_cast<const char*>(data), static_cast<size_t>(size));
  if (!is_header) return wal.commits ? WriteOrDropHeld(file) : SQLITE_OK;
  uint32_t pages = 0;
  std::memcpy(&pages, static_cast<const char*>(data) + kCommitAt, sizeof pages);
  wal.commits = pages != 0;
  return SQLITE_OK;
}

// ---- Everything else is the base's, after what is held.

int Close(sqlite3_file* file) {
  const int written = WriteHeld(file);
  delete Of(file).held;
  const int closed = Base(file).xClose(Inner(file));
  return written != SQLITE_OK ? written : closed;
}
int Read(sqlite3_file* file, void* data, int size, sqlite3_int64 offset) {
  if (const int code = WriteHeld(file); code != SQLITE_OK) return code;
  return Base(file).xRead(Inner(file), data, size, offset);
}
int Truncate(sqlite3_file* file, sqlite3_int64 size) {
  if (const int code = WriteHeld(file); code != SQLITE_OK) return code;
  return Base(file).xTruncate(Inner(file), size);
}
int Sync(sqlite3_file* file, int flags) {
  if (const int code = WriteHeld(file); code != SQLITE_OK) return code;
  return Base(file).xSync(Inner(file), flags);
}
int FileSize(sqlite3_file* file, sqlite3_int64* size) {
  if (const int code = WriteHeld(file); code != SQLITE_OK) return code;
  return Base(file).xFileSize(Inner(file), size);
}
int Lock(sqlite3_file* file, int level) { return Base(file).xLock(Inner(file), level); }
int Unlock(sqlite3_file* file, int level) { return Base(file).xUnlock(Inner(file), level); }
int CheckReserved(sqlite3_file* file, int* out) { return Base(file).xCheckReservedLock(Inner(file), out); }
int Control(sqlite3_file* file, int op, void* argument) { return Base(file).xFileControl(Inner(file), op, argument); }
int SectorSize(sqlite3_file* file) { return Base(file).xSectorSize(Inner(file)); }
int Characteristics(sqlite3_file* file) { return Base(file).xDeviceCharacteristics(Inner(file)); }

// Version 1: a log is neither shared memory nor mapped.
constexpr sqlite3_io_methods kMethods = {1,    Close,  Read,          Write,   Truncate,   Sync,           FileSize,
                                         Lock, Unlock, CheckReserved, Control, SectorSize, Characteristics};

int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) noexcept {
  auto* const base = static_cast<sqlite3_vfs*>(vfs->pAppData);
  if ((flags & SQLITE_OPEN_WAL) == 0) return base->xOpen(base, name, file, flags, out_flags);
  WalFile& wal = Of(file);
  wal.base.pMethods = nullptr;
  const int code = base->xOpen(base, name, wal.inner(), flags, out_flags);
  if (code != SQLITE_OK) return code;
  wal.held = new std::string();
  wal.held->reserve(kHeldBytesMax + kFrameHeaderBytes + kPageBytesMax);
  wal.next = -1;
  wal.commits = false;
  // Elsewhere SQLite cuts what it writes at the disk's sectors, and a piece may look like a header.
  wal.joins = (Base(file).xDeviceCharacteristics(wal.inner()) & SQLITE_IOCAP_POWERSAFE_OVERWRITE) != 0;
  wal.base.pMethods = &kMethods;
  return SQLITE_OK;
}

struct Registered {
  std::string name;  // which the VFS points to
  sqlite3_vfs vfs;
};

}  // namespace

std::string JoinedWalVfs(const std::string& base) {
  static Mutex mutex;
  static auto* const by_base = new std::map<std::string, std::unique_ptr<Registered>>();
  MutexLock lock(mutex);
  std::unique_ptr<Registered>& registered = (*by_base)[base];
  if (registered == nullptr) {
    sqlite3_vfs* const under = sqlite3_vfs_find(base.empty() ? nullptr : base.c_str());
    if (under == nullptr) return base;  // opening with it says that there is none
    registered = std::make_unique<Registered>(Registered{absl::StrCat("joined-wal-", under->zName), *under});
    sqlite3_vfs& vfs = registered->vfs;
    vfs.zName = registered->name.c_str();
    vfs.pNext = nullptr;
    vfs.pAppData = under;
    vfs.szOsFile += static_cast<int>(sizeof(WalFile));
    vfs.xOpen = Open;
    sqlite3_vfs_register(&vfs, 0);
  }
  return registered->name;
}

}  // namespace signalbox
