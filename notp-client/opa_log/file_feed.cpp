#include "notp-client/opa_log/file_feed.hpp"

#include <chrono>
#include <optional>
#include <thread>

#include "common/log.hpp"
#include "common/mutex.hpp"

namespace notp::opa_log {

struct FileFeed::State : std::enable_shared_from_this<FileFeed::State> {
  State(Intake& to, FileFeedOptions of)
      : intake(to), options(std::move(of)), file(options.file, intake.file_position()) {}

  void run();
  // Returns how long to wait before the next one, in milliseconds.
  int64_t step();
  Result<void> record(const FilePiece& piece);
  // False: the feed ends.
  bool wait(int64_t ms);
  void report(std::string text);

  Intake& intake;
  const FileFeedOptions options;
  LogFile file;  // of the thread
  std::thread thread;

  mutable Mutex mutex;
  ConditionVariable changed;
  bool is_ending NOTP_GUARDED_BY(mutex) = false;
  std::optional<Result<void>> outcome NOTP_GUARDED_BY(mutex);
  FileFeedStatus status NOTP_GUARDED_BY(mutex);
};

void FileFeed::State::report(std::string text) {
  const MutexLock lock(mutex);
  if (!text.empty() && text != status.trouble)
    log::warn("opa_log_file", {{"file", options.file.string()}, {"message", text}});
  status.trouble = std::move(text);
}

bool FileFeed::State::wait(int64_t ms) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
  MutexLock lock(mutex);
  while (!is_ending && ms > 0)
    if (changed.wait_until(lock, until) == std::cv_status::timeout) break;
  return !is_ending;
}

Result<void> FileFeed::State::record(const FilePiece& piece) {
  std::vector<OpaEvent> events;
  size_t damaged = 0;
  std::string first;
  for (const FileLine& line : piece.lines) {
    auto event = line.is_long ? Result<std::optional<OpaEvent>>(parse_long_line(piece.of(line)))
                              : parse_line(piece.of(line));
    if (event && *event) events.push_back(**std::move(event));
    if ((!event || (line.is_long && !*event)) && ++damaged == 1)
      first = event ? "a line that is too long" : event.error().message;
  }
  {
    const MutexLock lock(mutex);
    outcome.reset();
  }
  NOTP_TRY(intake.accept(std::move(events), [self = shared_from_this()](Result<void> done) {
    const MutexLock lock(self->mutex);
    self->outcome = std::move(done);
    self->changed.notify_all();
  }));
  intake.damaged(damaged, first);
  // Ends with the log at the latest, which calls back also when it closes.
  MutexLock lock(mutex);
  while (!outcome && !is_ending) changed.wait(lock);
  return outcome ? *outcome : fail(ErrorCode::kCancelled, "the agent stops");
}

int64_t FileFeed::State::step() {
  const FilePosition before = intake.file_position();
  auto piece = file.read();
  if (!piece) {
    report(piece.error().message);
    return options.retry_ms;
  }
  if (!piece->lines.empty()) {
    if (auto recorded = record(*piece); !recorded) {
      if (recorded.error().code != ErrorCode::kCancelled) report(recorded.error().message);
      file.go_back(before);
      return options.retry_ms;
    }
    const MutexLock lock(mutex);
    status.lines += piece->lines.size();
  }
  report(std::move(piece->trouble));
  intake.set_file_position(piece->end);
  return piece->at_end ? options.poll_ms : 0;
}

void FileFeed::State::run() {
  while (wait(step())) continue;
}

FileFeed::FileFeed(Intake& intake, FileFeedOptions options)
    : state_(std::make_shared<State>(intake, std::move(options))) {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

FileFeed::~FileFeed() {
  {
    const MutexLock lock(state_->mutex);
    state_->is_ending = true;
    state_->changed.notify_all();
  }
  state_->thread.join();
}

FileFeedStatus FileFeed::status() const {
  const MutexLock lock(state_->mutex);
  return state_->status;
}

}  // namespace notp::opa_log
