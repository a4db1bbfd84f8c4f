#include "common/asio/file_watch.hpp"

#include <sys/stat.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "common/asio/inotify.hpp"
#include "common/log.hpp"

namespace notp {

namespace asio = boost::asio;

namespace {

// Identifies a change when the kernel does not report it; all zero: there is no file.
struct Stamp {
  uint64_t device = 0, inode = 0;
  int64_t bytes = 0, written_ns = 0, changed_ns = 0;
  friend bool operator==(const Stamp&, const Stamp&) = default;
};

int64_t nanoseconds(const timespec& at) { return at.tv_sec * 1'000'000'000 + at.tv_nsec; }

Stamp stamp_of(const std::filesystem::path& file) {
  struct stat facts{};
  if (::stat(file.c_str(), &facts) != 0) return {};
  return {.device = facts.st_dev,
          .inode = facts.st_ino,
          .bytes = facts.st_size,
          .written_ns = nanoseconds(facts.st_mtim),
          .changed_ns = nanoseconds(facts.st_ctim)};
}

}  // namespace

class FileWatch::State : public std::enable_shared_from_this<State> {
 public:
  State(asio::any_io_executor executor, std::function<void()> on_change, FileWatchOptions options)
      : options_(options), on_change_(std::move(on_change)), reports_(executor), timer_(executor) {}

  ~State() { let_go(); }

  void watch(const std::vector<std::filesystem::path>& files) {
    std::vector<std::filesystem::path> wanted;
    for (const auto& file : files) wanted.push_back(std::filesystem::absolute(file));
    if (wanted == files_) return;
    const bool others = !files_.empty();
    files_ = std::move(wanted);
    if (stopped_) return;
    arm();
    if (others) await_settled();
  }

  void stop() {
    stopped_ = true;
    let_go();
  }

  bool is_polling() const { return polling_; }

 private:
  void let_go() {
    ++round_;
    timer_.cancel();
    if (reports_.is_open()) reports_.release();  // the instance closes it
    inotify_.reset();
  }

  // Resolves the paths anew. Reads after it are current until the next callback.
  void arm() {
    let_go();
    const Result<void> reported = ask_for_reports();
    polling_ = !reported;
    stamps_ = stamps();
    if (reported) {
      logged_.clear();
      return await_report();
    }
    if (reported.error().message != std::exchange(logged_, reported.error().message))
      log::write(log::Level::kWarn, "files_polled", reported.error(),
                 {{"interval_ms", options_.poll_ms}});
    after(options_.poll_ms, [](State& state) { state.poll(); });
    if (inotify_) await_report();
  }

  Result<void> ask_for_reports() {
    NOTP_ASSIGN(inotify_, Inotify::open());
    Result<void> all;
    for (const auto& file : files_)
      if (auto added = inotify_->add(file); !added && all) all = std::move(added);
    boost::system::error_code error;
    reports_.assign(inotify_->descriptor(), error);
    if (!error) return all;
    inotify_.reset();
    return fail(ErrorCode::kLimit, "changes cannot be waited for: " + error.message());
  }

  void await_report() {
    reports_.async_wait(asio::posix::stream_descriptor::wait_read,
                        [self = weak_from_this(), round = round_](boost::system::error_code) {
                          const auto state = self.lock();
                          if (state && state->round_ == round) state->on_reports();
                        });
  }

  // Takes no more reports until the files are read: a storm of reports costs one look.
  void on_reports() {
    if (!inotify_->take_reports()) return await_report();
    await_settled();
  }

  void await_settled() {
    after(options_.settle_ms, [](State& state) {
      state.arm();
      state.on_change_();
    });
  }

  void poll() {
    const std::vector<Stamp> before = stamps_;
    arm();
    const bool changed = stamps_ != before;
    // Once more after a change: the next one may have the same stamp.
    if (std::exchange(had_changed_, changed) || changed || !polling_) on_change_();
  }

  // Replaces the pending action.
  void after(int64_t ms, void (*then)(State&)) {
    timer_.expires_after(std::chrono::milliseconds(ms));
    timer_.async_wait([self = weak_from_this(), round = ++round_, then](boost::system::error_code) {
      const auto state = self.lock();
      if (state && state->round_ == round) then(*state);
    });
  }

  std::vector<Stamp> stamps() const {
    std::vector<Stamp> out;
    for (const auto& file : files_) out.push_back(stamp_of(file));
    return out;
  }

  const FileWatchOptions options_;
  const std::function<void()> on_change_;
  std::vector<std::filesystem::path> files_;
  std::vector<Stamp> stamps_;  // of files_
  std::optional<Inotify> inotify_;
  asio::posix::stream_descriptor reports_;  // inotify_'s
  asio::steady_timer timer_;                // to settle, or to poll
  uint64_t round_ = 0;                      // invalidates handlers of earlier rounds
  bool stopped_ = false;
  bool polling_ = false;
  bool had_changed_ = false;  // the last poll found a change: the next one calls back, too
  std::string logged_;        // why files are polled: logged once while it lasts
};

FileWatch::FileWatch(asio::any_io_executor executor, std::function<void()> on_change,
                     FileWatchOptions options)
    : state_(std::make_shared<State>(std::move(executor), std::move(on_change), options)) {}

FileWatch::~FileWatch() { state_->stop(); }

void FileWatch::watch(const std::vector<std::filesystem::path>& files) { state_->watch(files); }

void FileWatch::stop() { state_->stop(); }

bool FileWatch::is_polling() const { return state_->is_polling(); }

}  // namespace notp
