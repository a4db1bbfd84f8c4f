#include "tools/notp/mirror/mirror_runner.hpp"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "common/argv.hpp"
#include "common/random.hpp"
#include "common/spawn.hpp"
#include "common/storage/private_files.hpp"
#include "tools/notp/child_program.hpp"

namespace notp::cli {
namespace {

namespace asio = boost::asio;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// A timer that is far away is looked at again, so that time while the machine sleeps counts.
constexpr TimeMs kTimerMsMax = 60'000;
constexpr TimeMs kTermGraceMs = 10'000;
constexpr const char* kPassOutputFile = "pass.txt";
constexpr const char* kPassErrorsFile = "pass-errors.txt";

}  // namespace

MirrorRunner::MirrorRunner(asio::any_io_executor executor, MirrorPlace place, MirrorConfig config,
                           Ended ended)
    : place_(std::move(place)),
      config_(std::move(config)),
      ended_(std::move(ended)),
      due_(executor),
      limit_(executor),
      schedule_(config_.interval_ms, read_clock().boot_ms, chance()),
      status_(load_mirror_status(place_.folder)) {}

double MirrorRunner::chance() const {
  constexpr uint64_t kSteps = 1'000;
  return static_cast<double>(SystemRandom().below(kSteps + 1)) / static_cast<double>(kSteps);
}

void MirrorRunner::start() {
  spawn(due_.get_executor(), [](std::shared_ptr<MirrorRunner> self) -> asio::awaitable<void> {
    co_await self->loop();
  }(shared_from_this()));
}

void MirrorRunner::hint() {
  schedule_.hint(read_clock().boot_ms);
  due_.cancel();
}

void MirrorRunner::reconfigure(MirrorConfig config) {
  config_ = std::move(config);
  schedule_.set_interval(config_.interval_ms);
  hint();
}

void MirrorRunner::stop() {
  is_stopped_ = true;
  due_.cancel();
  if (child_ > 0) ::kill(child_, SIGTERM);
}

asio::awaitable<void> MirrorRunner::loop() {
  while (!is_stopped_) {
    co_await wait_until_due();
    if (!is_stopped_) co_await run_pass();
  }
}

asio::awaitable<void> MirrorRunner::wait_until_due() {
  while (!is_stopped_) {
    const TimeMs left = schedule_.next_ms() - read_clock().boot_ms;
    if (left <= 0) break;
    due_.expires_after(std::chrono::milliseconds(std::min(left, kTimerMsMax)));
    co_await due_.async_wait(kAwait);
  }
}

Result<pid_t> MirrorRunner::start_child() const {
  NOTP_TRY(make_private_folder(place_.folder));
  std::vector<std::string> variables;
  for (const auto& [name, value] : place_.environment)
    variables.push_back(fmt::format("{}={}", name, value));
  // The program that runs here, also when its file was replaced meanwhile.
  return start_program(
      {"/proc/self/exe", "mirror", "once", config_.name, "--config", place_.config_file.string()},
      argv_of(variables).data(), place_.folder / kPassOutputFile, place_.folder / kPassErrorsFile);
}

void MirrorRunner::end_child_after(TimeMs wait_ms, int signal) {
  limit_.expires_after(std::chrono::milliseconds(wait_ms));
  limit_.async_wait(
      [self = shared_from_this(), child = child_, signal](const boost::system::error_code& error) {
        if (error || self->child_ != child) return;
        ::kill(child, signal);
        if (signal != SIGKILL) self->end_child_after(kTermGraceMs, SIGKILL);
      });
}

asio::awaitable<int> MirrorRunner::wait_for_child() {
  const pid_t child = child_;
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  if (handle >= 0) {
    asio::posix::stream_descriptor ended(due_.get_executor(), handle);
    // A pass that gets SIGTERM ends its git first; SIGKILL would leave that to its server.
    end_child_after(4 * config_.upstream.deadline_ms + kMirrorPassExtraMs, SIGTERM);
    co_await ended.async_wait(asio::posix::stream_descriptor::wait_read, kAwait);
    limit_.cancel();
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  child_ = -1;
  co_return status;
}

// A pass that did not come to its own end has written no status.
void MirrorRunner::note_lost_pass(const std::string& what) {
  status_.fail_with(Error{ErrorCode::kInternal, what, {}}, MirrorReason::kNone,
                    read_clock().wall_ms);
  // Only for people: the next pass works without it.
  (void)save_mirror_status(place_.folder, status_);
}

asio::awaitable<void> MirrorRunner::run_pass() {
  const TimeMs started_ms = read_clock().boot_ms;
  schedule_.started(started_ms);
  const MirrorStatus before = status_;
  auto child = start_child();
  if (child) {
    child_ = *child;
    const int status = co_await wait_for_child();
    status_ = load_mirror_status(place_.folder);
    if (is_stopped_) co_return;
    if (WIFSIGNALED(status))
      note_lost_pass(fmt::format("the pass was ended by signal {}", WTERMSIG(status)));
    else if (status_.pass_ms == before.pass_ms)
      note_lost_pass(fmt::format("the pass exited with {} and left no status: {} has what it said",
                                 WEXITSTATUS(status), (place_.folder / kPassErrorsFile).string()));
  } else {
    note_lost_pass(child.error().message);
  }
  // A pass that failed may have fetched as well.
  const bool is_good = status_.state != MirrorState::kFailing;
  const bool has_fetched = !is_good || status_.tip.commit != before.tip.commit;
  schedule_.ended(is_good, has_fetched, read_clock().boot_ms, chance());
  ended_(*this, before);
}

}  // namespace notp::cli
