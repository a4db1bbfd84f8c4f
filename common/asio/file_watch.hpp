// Reports that files may have changed, on notification by the kernel and without polling.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "common/limits.hpp"

namespace notp {

struct FileWatchOptions {
  // Poll interval for files whose changes the kernel cannot report.
  int64_t poll_ms = limits::kFileWatchMs;
  // Delay from the first report of a change to the callback: a renewal replaces several files.
  int64_t settle_ms = limits::kFileSettleMs;
};

// Watches files by their names: resolves each path as the kernel does and watches every step, so
// that it notices a change whether the file is written, replaced by a rename, or reached by another
// symbolic link or through another folder than before. Missing files and folders are noticed when
// they appear. Mounts over a folder are not reported.
//
// If the kernel does not report changes (no inotify instance or watch is left, a folder may not be
// listed, a network file system) files are polled every poll_ms, which is logged once with the
// reason, until it does report them.
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

  // Watches exactly these files from now on. Relative paths start at the current folder. A later
  // call with other files causes a callback, because their earlier state is unknown.
  void watch(const std::vector<std::filesystem::path>& files);
  // Ends the watch permanently.
  void stop();

  // Whether files are polled because the kernel does not report all changes.
  bool is_polling() const;

 private:
  class State;
  const std::shared_ptr<State> state_;
};

}  // namespace notp
