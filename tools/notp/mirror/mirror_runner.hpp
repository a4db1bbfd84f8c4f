// Runs the passes of one mirror, each in a child process of its own: `notp mirror once NAME`. One
// that hangs is ended, one that crashes or takes much memory costs itself, and no mirror waits for
// another.
#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>

#include "tools/notp/mirror/mirror_config.hpp"
#include "tools/notp/mirror/mirror_schedule.hpp"
#include "tools/notp/mirror/mirror_status.hpp"

namespace notp::cli {

// A pass is ended after four calls of git as long as they may be, and this for the registry.
inline constexpr TimeMs kMirrorPassExtraMs = 600'000;

struct MirrorPlace {
  std::filesystem::path config_file;  // that the child reads
  Environment environment;            // of the child
  std::filesystem::path folder;       // of the mirror's state
};

// All methods on the executor's thread, which calls back.
class MirrorRunner : public std::enable_shared_from_this<MirrorRunner> {
 public:
  // After each pass. `before` is the status that the pass found.
  using Ended = std::function<void(const MirrorRunner&, const MirrorStatus& before)>;

  MirrorRunner(boost::asio::any_io_executor executor, MirrorPlace place, MirrorConfig config,
               Ended ended);
  MirrorRunner(const MirrorRunner&) = delete;
  MirrorRunner& operator=(const MirrorRunner&) = delete;

  void start();
  // Upstream may have moved.
  void hint();
  // Applies from the next pass on, which comes soon.
  void reconfigure(MirrorConfig config);
  // Starts no further pass and ends the one under way, which the next start makes good. The
  // executor then has no more work from it.
  void stop();

  const MirrorConfig& config() const { return config_; }
  const MirrorStatus& status() const { return status_; }

 private:
  boost::asio::awaitable<void> loop();
  boost::asio::awaitable<void> wait_until_due();
  boost::asio::awaitable<void> run_pass();
  Result<pid_t> start_child() const;
  void end_child_after(TimeMs wait_ms, int signal);
  // Also ends it when it takes too long. Its exit status as waitpid(2) has it.
  boost::asio::awaitable<int> wait_for_child();
  void note_lost_pass(const std::string& what);
  double chance() const;

  MirrorPlace place_;
  MirrorConfig config_;
  Ended ended_;
  boost::asio::steady_timer due_, limit_;
  MirrorSchedule schedule_;
  MirrorStatus status_;
  pid_t child_ = -1;
  bool is_stopped_ = false;
};

}  // namespace notp::cli
