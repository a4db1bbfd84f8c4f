// A disk that fails when it is told to: SQLite's default VFS with a count of what changes a file,
// and what of the C library changes a folder: rename, remove, fsync and fdatasync of folders.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/random.hpp"

namespace notp {

// Takes the place of SQLite's default VFS for the life of the process; one in a process, one
// thread.
class FaultDisk {
 public:
  enum class Fault {
    kOnce,   // that operation fails; what comes after works again
    kDead,   // and every one after it
    kPower,  // the same, and what was not synced by then may be lost: see power_cut()
  };

  static FaultDisk& instance();

  // The nth write, truncation, sync, deletion or renaming from now on fails; n counts from 1.
  void arm(uint64_t n, Fault fault);
  void disarm();
  // Has the fault happened since arm()?
  bool struck() const { return struck_; }
  // What has happened between arm() and disarm().
  uint64_t operations() const { return operations_; }

  // After kPower, once every file is closed: each write that was not synced is kept, lost or torn,
  // each file that was deleted or renamed since its folder was synced is so or is not, as chance
  // has it.
  void power_cut(Random& random);

  // For the VFS and the C library's functions. True: this operation is to fail.
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
    std::string name;  // that is not there any more
    std::string now;   // its name since; empty: it was deleted
    File file;         // what was deleted, or had the name `now` before
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
