#include "tests/fault/fault_disk.hpp"

#include <sqlite3.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <new>

#include "tests/support/interposed.hpp"

namespace notp {
namespace {

sqlite3_vfs* real_vfs = nullptr;

// SQLite allocates szOsFile bytes: this struct, followed by the real file.
struct alignas(8) ShimFile {
  sqlite3_file base;
  std::string* name;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

ShimFile* shim(sqlite3_file* file) { return reinterpret_cast<ShimFile*>(file); }
sqlite3_file* real(sqlite3_file* file) { return shim(file)->real(); }
FaultDisk& disk() { return FaultDisk::instance(); }

int shim_close(sqlite3_file* file) {
  const int code = real(file)->pMethods->xClose(real(file));
  delete shim(file)->name;
  shim(file)->name = nullptr;
  return code;
}
int shim_read(sqlite3_file* file, void* to, int bytes, sqlite3_int64 offset) {
  return real(file)->pMethods->xRead(real(file), to, bytes, offset);
}
int shim_write(sqlite3_file* file, const void* from, int bytes, sqlite3_int64 offset) {
  if (disk().strikes()) return SQLITE_IOERR_WRITE;
  disk().on_write(*shim(file)->name, offset,
                  {static_cast<const char*>(from), static_cast<size_t>(bytes)});
  return real(file)->pMethods->xWrite(real(file), from, bytes, offset);
}
int shim_truncate(sqlite3_file* file, sqlite3_int64 size) {
  if (disk().strikes()) return SQLITE_IOERR_TRUNCATE;
  disk().on_truncate(*shim(file)->name, size);
  return real(file)->pMethods->xTruncate(real(file), size);
}
int shim_sync(sqlite3_file* file, int flags) {
  if (disk().strikes()) return SQLITE_IOERR_FSYNC;
  const int code = real(file)->pMethods->xSync(real(file), flags);
  if (code == SQLITE_OK) disk().on_sync(*shim(file)->name);
  return code;
}
int shim_size(sqlite3_file* file, sqlite3_int64* size) {
  return real(file)->pMethods->xFileSize(real(file), size);
}
int shim_lock(sqlite3_file* file, int level) {
  return real(file)->pMethods->xLock(real(file), level);
}
int shim_unlock(sqlite3_file* file, int level) {
  return real(file)->pMethods->xUnlock(real(file), level);
}
int shim_reserved(sqlite3_file* file, int* out) {
  return real(file)->pMethods->xCheckReservedLock(real(file), out);
}
int shim_control(sqlite3_file* file, int op, void* argument) {
  return real(file)->pMethods->xFileControl(real(file), op, argument);
}
int shim_sector(sqlite3_file* file) { return real(file)->pMethods->xSectorSize(real(file)); }
int shim_traits(sqlite3_file*) { return 0; }  // a disk without guarantees

// Version 1: no shared memory, which a store in exclusive mode does not need.
const sqlite3_io_methods kMethods = {
    .iVersion = 1,
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_reserved,
    .xFileControl = shim_control,
    .xSectorSize = shim_sector,
    .xDeviceCharacteristics = shim_traits,
    .xShmMap = nullptr,
    .xShmLock = nullptr,
    .xShmBarrier = nullptr,
    .xShmUnmap = nullptr,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

int shim_open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* flags_out) {
  auto* opened = new (file) ShimFile{};
  const int code = real_vfs->xOpen(real_vfs, name, opened->real(), flags, flags_out);
  if (code != SQLITE_OK) return code;
  opened->name = new std::string(name ? name : "");
  opened->base.pMethods = &kMethods;
  disk().on_open(*opened->name);
  return code;
}

int shim_delete(sqlite3_vfs*, const char* name, int sync_folder) {
  if (disk().strikes()) return SQLITE_IOERR_DELETE;
  disk().on_delete(name);
  return real_vfs->xDelete(real_vfs, name, sync_folder);
}

std::string content_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

FaultDisk& FaultDisk::instance() {
  static FaultDisk disk;
  return disk;
}

FaultDisk::FaultDisk() {
  real_vfs = sqlite3_vfs_find(nullptr);
  static sqlite3_vfs vfs = *real_vfs;
  vfs.zName = "fault";
  vfs.szOsFile = static_cast<int>(sizeof(ShimFile)) + real_vfs->szOsFile;
  vfs.xOpen = shim_open;
  vfs.xDelete = shim_delete;
  sqlite3_vfs_register(&vfs, /*makeDflt=*/1);
}

void FaultDisk::arm(uint64_t n, Fault fault) {
  fail_at_ = n;
  fault_ = fault;
  operations_ = 0;
  struck_ = false;
  records_ = fault == Fault::kPower;
  folder_changes_.clear();
  for (auto& [name, file] : files_) file = {content_of(name), {}};
}

void FaultDisk::disarm() {
  fail_at_ = 0;
  records_ = false;
}

bool FaultDisk::strikes() {
  if (fail_at_ == 0 || ++operations_ < fail_at_) return false;
  if (operations_ > fail_at_ && fault_ == Fault::kOnce) return false;
  struck_ = true;
  return true;
}

void FaultDisk::on_open(const std::string& file) {
  if (!files_.contains(file)) files_[file] = {records_ ? std::string() : content_of(file), {}};
}

void FaultDisk::on_write(const std::string& file, int64_t offset, std::string_view bytes) {
  if (records_) files_[file].changes.push_back({false, offset, std::string(bytes)});
}

void FaultDisk::on_truncate(const std::string& file, int64_t size) {
  if (records_) files_[file].changes.push_back({true, size, {}});
}

void FaultDisk::on_sync(const std::string& file) {
  if (records_) files_[file] = {content_of(file), {}};
}

void FaultDisk::on_delete(const std::string& file) {
  const auto known = files_.extract(file);
  if (records_ && known) folder_changes_.push_back({file, {}, known.mapped()});
}

void FaultDisk::on_rename(const std::string& from, const std::string& to) {
  if (records_) folder_changes_.push_back({from, to, files_[to]});
  files_[to] = files_[from];
  files_.erase(from);
}

void FaultDisk::undo(FolderChange& change) {
  if (std::filesystem::exists(change.name)) return;  // another file has the name by now
  const bool renamed = !change.now.empty();
  if (renamed) std::filesystem::rename(change.now, change.name);  // which calls on_rename(), too
  const std::string& back = renamed ? change.now : change.name;
  std::ofstream{back};
  files_[back] = std::move(change.file);
}

void FaultDisk::power_cut(Random& random) {
  while (!folder_changes_.empty()) {
    FolderChange change = std::move(folder_changes_.back());
    folder_changes_.pop_back();
    if (random.below(2) == 0) undo(change);
  }
  for (auto& [name, file] : files_) {
    if (!std::filesystem::exists(name)) continue;
    std::string content = std::move(file.synced);
    for (const Change& change : file.changes) {
      const uint64_t fate = random.below(3);  // kept, lost, torn
      if (fate == 1) continue;
      const auto offset = static_cast<size_t>(change.offset);
      if (change.truncates) {
        content.resize(offset);
        continue;
      }
      const size_t bytes = fate == 2 ? random.below(change.bytes.size()) : change.bytes.size();
      if (content.size() < offset + bytes) content.resize(offset + bytes);
      content.replace(offset, bytes, change.bytes, 0, bytes);
    }
    std::ofstream(name, std::ios::binary | std::ios::trunc) << content;
  }
  files_.clear();
}

namespace {

bool is_folder(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

bool exists(const char* name) {
  struct stat status{};
  return ::lstat(name, &status) == 0;
}

int refused() {
  errno = EIO;
  return -1;
}

int sync_folder_or_file(int fd, int (*sync)(int)) {
  if (!is_folder(fd)) return sync(fd);  // counted by the VFS
  if (disk().strikes()) return refused();
  disk().on_folder_sync();
  return sync(fd);
}

}  // namespace
}  // namespace notp

// Replaces the C library's functions, for this program and the libraries it uses.
extern "C" {

int rename(const char* from, const char* to) noexcept {
  using namespace notp;
  static auto* const real = real_function<int(const char*, const char*)>("rename");
  if (!exists(from)) return real(from, to);
  if (disk().strikes()) return refused();
  const int code = real(from, to);
  if (code == 0) disk().on_rename(from, to);
  return code;
}

int remove(const char* name) noexcept {
  using namespace notp;
  static auto* const real = real_function<int(const char*)>("remove");
  if (!exists(name)) return real(name);
  if (disk().strikes()) return refused();
  disk().on_delete(name);
  return real(name);
}

int fsync(int fd) {
  static auto* const real = notp::real_function<int(int)>("fsync");
  return notp::sync_folder_or_file(fd, real);
}

int fdatasync(int fd) {
  static auto* const real = notp::real_function<int(int)>("fdatasync");
  return notp::sync_folder_or_file(fd, real);
}

}  // extern "C"
