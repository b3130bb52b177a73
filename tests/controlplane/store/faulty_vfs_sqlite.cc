#include "tests/controlplane/store/faulty_vfs_sqlite.h"

#include <sqlite3.h>

#include <atomic>
#include <climits>
#include <cstring>

namespace signalbox {
namespace {

std::atomic<int> writes_left{INT_MAX};
std::atomic<bool> as_io_error{false};
std::atomic<bool> failed{false};

struct File {
  sqlite3_file base;
  sqlite3_file* inner() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
sqlite3_file* Inner(sqlite3_file* file) { return reinterpret_cast<File*>(file)->inner(); }
sqlite3_vfs* System() { return sqlite3_vfs_find("unix"); }

int Fault(int io_code) {
  if (writes_left.load() == INT_MAX || writes_left.fetch_sub(1) > 1) return SQLITE_OK;
  writes_left.store(1);
  failed.store(true);
  return as_io_error ? io_code : SQLITE_FULL;
}

int Close(sqlite3_file* file) { return Inner(file)->pMethods->xClose(Inner(file)); }
int Read(sqlite3_file* file, void* data, int size, sqlite3_int64 offset) {
  return Inner(file)->pMethods->xRead(Inner(file), data, size, offset);
}
int Write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  const int fault = Fault(SQLITE_IOERR_WRITE);
  const int taken = fault == SQLITE_OK ? size : size / 2;
  const int code = Inner(file)->pMethods->xWrite(Inner(file), data, taken, offset);
  return fault != SQLITE_OK ? fault : code;
}
int Truncate(sqlite3_file* file, sqlite3_int64 size) { return Inner(file)->pMethods->xTruncate(Inner(file), size); }
int Sync(sqlite3_file* file, int flags) {
  const int fault = Fault(SQLITE_IOERR_FSYNC);
  return fault != SQLITE_OK ? fault : Inner(file)->pMethods->xSync(Inner(file), flags);
}
int FileSize(sqlite3_file* file, sqlite3_int64* size) { return Inner(file)->pMethods->xFileSize(Inner(file), size); }
int Lock(sqlite3_file* file, int level) { return Inner(file)->pMethods->xLock(Inner(file), level); }
int Unlock(sqlite3_file* file, int level) { return Inner(file)->pMethods->xUnlock(Inner(file), level); }
int CheckReserved(sqlite3_file* file, int* out) { return Inner(file)->pMethods->xCheckReservedLock(Inner(file), out); }
int Control(sqlite3_file* file, int op, void* argument) {
  return Inner(file)->pMethods->xFileControl(Inner(file), op, argument);
}
int SectorSize(sqlite3_file* file) { return Inner(file)->pMethods->xSectorSize(Inner(file)); }
int Characteristics(sqlite3_file* file) { return Inner(file)->pMethods->xDeviceCharacteristics(Inner(file)); }

// Version 1: no shared memory, which WAL in exclusive mode does without.
constexpr sqlite3_io_methods kMethods = {1,    Close,  Read,          Write,   Truncate,   Sync,           FileSize,
                                         Lock, Unlock, CheckReserved, Control, SectorSize, Characteristics};

int Open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  File* wrapped = reinterpret_cast<File*>(file);
  wrapped->base.pMethods = nullptr;
  const int code = System()->xOpen(System(), name, wrapped->inner(), flags, out_flags);
  if (code == SQLITE_OK) wrapped->base.pMethods = &kMethods;
  return code;
}

}  // namespace

void RegisterFaultyVfs() {
  static sqlite3_vfs vfs = [] {
    sqlite3_initialize();
    sqlite3_vfs copy = *System();
    copy.zName = kFaultyVfs;
    copy.pNext = nullptr;
    copy.szOsFile += static_cast<int>(sizeof(File));
    copy.xOpen = Open;
    return copy;
  }();
  sqlite3_vfs_register(&vfs, 0);
}

void FailFromWrite(int n, bool io_error) {
  as_io_error = io_error;
  failed = false;
  writes_left = n;
}
void HealWrites() { writes_left = INT_MAX; }
bool WriteFailed() { return failed; }

}  // namespace signalbox
