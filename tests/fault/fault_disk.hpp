// A disk that fails on command: SQLite's default VFS, with a count of operations that change a
// file, and the C library's operations that change a folder: rename, remove, fsync and fdatasync of
// folders.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/random.hpp"

namespace notp {

// Replaces SQLite's default VFS for the life of the process; one for each process, one thread.
class FaultDisk {
 public:
  enum class Fault {
    kOnce,   // that operation fails; later ones succeed
    kDead,   // that operation and every later one fail
    kPower,  // the same, and unsynced changes may be lost: see power_cut()
  };

  static FaultDisk& instance();

  // Makes the nth write, truncation, sync, deletion or renaming from now on fail; n counts from 1.
  void arm(uint64_t n, Fault fault);
  void disarm();
  // True if the fault has happened since arm().
  bool struck() const { return struck_; }
  // Operations between arm() and disarm().
  uint64_t operations() const { return operations_; }

  // After kPower, once every file is closed: at random, each unsynced write is kept, lost or torn,
  // and each file deleted or renamed since its folder was synced stays so or is restored.
  void power_cut(Random& random);

  // For the VFS and the C library's functions. True: this operation must fail.
  bool strikes();
  void on_open(const std::string& file);
  void on_write(const std::string& file, int64_t offset, std::string_view bytes);
  void on_truncate(const std::string& file, int64_t size);
  void on_sync(const std::string& file);
  void on_delete(const std::string& file);
  void on_rename(const std::string& from, const std::string& to);
  void on_folder_sync() { folder_changes_.clear(); }

 private:
  FaultDisk();

  struct Change {
    bool truncates = false;
    int64_t offset = 0;  // of a truncation: the size
    std::string bytes;
  };
  struct File {
    std::string synced;  // its content at the last sync
    std::vector<Change> changes;
  };
  struct FolderChange {
    std::string name;  // the old name
    std::string now;   // the new name; empty: deleted
    File file;         // the deleted file, or the file overwritten at `now`
  };
  void undo(FolderChange& change);

  uint64_t fail_at_ = 0;  // 0: never
  Fault fault_ = Fault::kOnce;
  uint64_t operations_ = 0;
  bool struck_ = false;
  bool records_ = false;
  std::map<std::string, File> files_;
  std::vector<FolderChange> folder_changes_;  // since the last sync; of one folder
};

}  // namespace notp
