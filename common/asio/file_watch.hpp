// Tells that files may have changed when the kernel reports it; nothing is looked at meanwhile.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "common/limits.hpp"

namespace notp {

struct FileWatchOptions {
  // How often files are looked at whose changes the kernel cannot report.
  int64_t poll_ms = limits::kFileWatchMs;
  // From the first report of a change to the callback: a renewal replaces several files.
  int64_t settle_ms = limits::kFileSettleMs;
};

// Watches files by their names: what each path means is looked up as the kernel does it, and every
// step of that is watched, so that a change is seen whether the file is written, replaced by a
// rename, or reached by another symbolic link or through another folder than before. Files and
// folders that are not there yet are seen when they appear. What is mounted over a folder is not
// reported.
//
// Where the kernel does not report changes (no inotify instance or watch is left, a folder may not
// be listed, a network file system) files are looked at every poll_ms instead, which is logged once
// with the reason, until it does report them.
//
// All methods on the executor's thread, which calls back. Blocks on the file system only.
class FileWatch {
 public:
  // `on_change` may call the watch, but not destroy it.
  FileWatch(boost::asio::any_io_executor executor, std::function<void()> on_change,
            FileWatchOptions options = {});
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  // Reports changes of these files, from now on, and of no others. Relative paths are of the
  // current folder. Called again with other files it calls back, as what they were before is not
  // known.
  void watch(const std::vector<std::filesystem::path>& files);
  // For good.
  void stop();

  // Are files looked at, because the kernel does not report all changes?
  bool is_polling() const;

 private:
  class State;
  const std::shared_ptr<State> state_;
};

}  // namespace notp
