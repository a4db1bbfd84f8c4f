#include "notp-client/spool/spool.hpp"

#include <fmt/format.h>

#include <future>
#include <thread>
#include <utility>

#include "common/atomic_shared.hpp"
#include "common/failpoint.hpp"
#include "common/log.hpp"
#include "notp-client/spool/old_files.hpp"
#include "notp-client/spool/open_log.hpp"

namespace notp::spool {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// The log for those who use it. It outlives their pointers, and is not theirs to delete: the last
// one may be a thread of its own.
struct Use {
  explicit Use(OpenLog& of) : log(of) {}
  ~Use() { left.set_value(); }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

  OpenLog& log;
  std::promise<void> left;
};

std::unexpected<Error> not_open() {
  return fail(ErrorCode::kUnavailable, "the spool has no log open at the moment");
}

}  // namespace

class DecisionSpool::State {
 public:
  State(std::filesystem::path folder, SpoolOptions options, SpoolIdentity identity)
      : folder_(std::move(folder)), options_(std::move(options)), identity_(std::move(identity)) {}
  ~State();

  Result<void> open();
  // Opens the folder again and again, on a thread.
  void wait_for_disk(Error why);
  void close(std::string reason);
  Result<NewLog> begin_new_log(const std::string& reason);

  std::shared_ptr<const Use> use() const { return current_.get(); }
  Result<std::optional<Written>> append_later(const Entry& entry);
  void drop(std::string path, record::Outcome outcome, std::string rule);
  void connected(bool is_connected);
  void on_sealed(std::function<void()> sealed);
  void set_node(std::string node);
  void on_new_log(std::function<void()> before, std::function<void(const record::LogId&)> after);
  SpoolStatus status() const;

 private:
  Result<void> begin(RecoveryParts parts) NOTP_REQUIRES(change_);
  Result<NewLog> replace_log(const std::string& reason) NOTP_REQUIRES(change_);
  Result<void> end_log() NOTP_REQUIRES(change_);
  // Waits until nobody uses the log, and ends it. Returns the lock of its folder.
  FolderLock retire() NOTP_REQUIRES(change_);
  void run_opener();

  const std::filesystem::path folder_;
  const SpoolOptions options_;
  DropCounts drops_;  // of all logs

  Mutex change_;  // held while a log begins or ends
  std::unique_ptr<OpenLog> log_ NOTP_GUARDED_BY(change_);
  bool is_replacing_ NOTP_GUARDED_BY(change_) = false;  // since before_new_log_ was called
  std::future<void> left_ NOTP_GUARDED_BY(change_);     // when nobody uses log_ any more
  std::thread opener_;  // started with change_ held, or before others know of this
  Wakeup opener_wakeup_;

  AtomicShared<Use> current_{nullptr};  // null: no log is open; set with mutex_ held
  mutable Mutex mutex_;                 // after change_
  ConditionVariable changed_;
  SpoolIdentity identity_ NOTP_GUARDED_BY(mutex_);
  bool is_changing_ NOTP_GUARDED_BY(mutex_) = false;
  bool is_closed_ NOTP_GUARDED_BY(mutex_) = false;
  bool is_connected_ NOTP_GUARDED_BY(mutex_) = false;
  std::function<void()> on_sealed_ NOTP_GUARDED_BY(mutex_);
  std::function<void()> before_new_log_ NOTP_GUARDED_BY(mutex_);
  std::function<void(const record::LogId&)> after_new_log_ NOTP_GUARDED_BY(mutex_);
  uint64_t unrecorded_ NOTP_GUARDED_BY(mutex_) = 0;  // that no log counts yet
  // Counters of logs that have ended, and of the time without one.
  SpoolStatus past_ NOTP_GUARDED_BY(mutex_);
  std::string trouble_ NOTP_GUARDED_BY(mutex_);  // why no log is open
};

DecisionSpool::State::~State() {
  opener_wakeup_.stop();
  if (opener_.joinable()) opener_.join();
  const MutexLock changing(change_);
  if (log_) retire();
}

Result<void> DecisionSpool::State::open() {
  const MutexLock changing(change_);
  return begin({});
}

Result<void> DecisionSpool::State::begin(RecoveryParts parts) {
  SpoolIdentity identity;
  {
    const MutexLock lock(mutex_);
    identity = identity_;
  }
  NOTP_ASSIGN(OpenedSpool opened, recover(folder_, options_, identity, std::move(parts)));
  auto log = std::make_unique<OpenLog>(std::move(opened), options_, std::move(identity), drops_);
  NOTP_TRY(log->started);
  failpoint("spool.after_open");
  auto use = std::make_shared<Use>(*log);
  left_ = use->left.get_future();
  MutexLock lock(mutex_);
  if (!identity_.node.empty()) log->sealer.set_node(identity_.node);
  if (on_sealed_) log->sealer.on_sealed(on_sealed_);
  log->sealer.connected(is_connected_);
  if (unrecorded_ != 0)
    log::warn("decisions_were_not_recorded", {{"count", unrecorded_}, {"log", log->log.hex()}});
  log->tail.add_unrecorded(std::exchange(unrecorded_, 0));
  log->tail.record_unrecorded();
  trouble_.clear();
  current_.set(std::move(use));
  log_ = std::move(log);
  is_changing_ = false;
  changed_.notify_all();
  std::function<void(const record::LogId&)> after;
  if (std::exchange(is_replacing_, false)) after = after_new_log_;
  const std::function<void()> sealed = on_sealed_;
  lock.unlock();
  // There is another log to offer.
  if (sealed) sealed();
  if (after) after(log_->log);
  return {};
}

void DecisionSpool::State::wait_for_disk(Error why) {
  log::write(log::Level::kError, "spool_not_open", why, {{"folder", folder_.string()}});
  {
    const MutexLock lock(mutex_);
    trouble_ = std::move(why.message);
    is_changing_ = false;
    changed_.notify_all();
  }
  if (opener_.joinable()) opener_.join();  // it has opened the log before, and ended
  opener_ = std::thread([this] { run_opener(); });
}

void DecisionSpool::State::run_opener() {
  const milliseconds interval(options_.open_retry_ms);
  while (opener_wakeup_.wait_until(steady_clock::now() + interval)) {
    const MutexLock changing(change_);
    const auto begun = begin({});
    if (begun) return log::info("spool_opened", {{"folder", folder_.string()}});
    const MutexLock lock(mutex_);
    if (std::exchange(trouble_, begun.error().message) != begun.error().message)
      log::write(log::Level::kError, "spool_not_open", begun.error(),
                 {{"folder", folder_.string()}});
  }
}

void DecisionSpool::State::close(std::string reason) {
  {
    const MutexLock changing(change_);
    const MutexLock lock(mutex_);
    is_closed_ = true;
  }
  opener_wakeup_.stop();
  if (opener_.joinable()) opener_.join();
  const MutexLock changing(change_);
  if (!log_) {
    const MutexLock lock(mutex_);
    if (const uint64_t count = std::exchange(unrecorded_, 0); count != 0)
      log::error("decisions_never_recorded", {{"count", count}, {"message", trouble_}});
    return;
  }
  LogTail& tail = log_->tail;
  if (!tail.close()) return;
  if (!drops_.close(
          [&](const record::Dropped& counts) { return tail.append_own(counts).has_value(); }))
    log::warn("spool_drops_not_recorded", {{"log", log_->log.hex()}});
  const auto ended = tail.append_own(record::RunEnd{std::move(reason)});
  if (!ended) log::write(log::Level::kWarn, "spool_end_not_recorded", ended.error());
  // What cannot be sealed stays in the ring.
  const auto sealed = log_->sealer.seal_now();
  if (!sealed) log::write(log::Level::kWarn, "spool_not_sealed", sealed.error());
  failpoint("spool.after_close");
}

// --- a log that follows another one

Result<NewLog> DecisionSpool::State::begin_new_log(const std::string& reason) {
  const MutexLock changing(change_);
  auto begun = replace_log(reason);
  std::error_code ignored;
  if (!begun) std::filesystem::remove(folder_ / kSpareRingFile, ignored);
  return begun;
}

Result<NewLog> DecisionSpool::State::replace_log(const std::string& reason) {
  std::function<void()> before;
  std::function<void(const record::LogId&)> after;
  {
    const MutexLock lock(mutex_);
    if (is_closed_ || !log_) return fail(ErrorCode::kState, "no log is open that could end");
    before = before_new_log_;
    after = after_new_log_;
  }
  if (old_logs_kept(folder_) >= kOldLogsKept)
    return fail(ErrorCode::kLimit,
                fmt::format("{} holds the files of {} logs that ended before, as evidence: move "
                            "its *.old-* files elsewhere, after a look at why the logs ended",
                            folder_.string(), kOldLogsKept));
  NOTP_ASSIGN(auto ring, make_spare_ring(folder_, options_.ring_bytes));
  // From here on a new log begins in any case, at the next start at the latest.
  NOTP_TRY(log_->table->end(reason));
  failpoint("spool.after_end_mark");
  // Most of it, while decisions go on.
  NOTP_TRY(log_->sealer.seal_now());
  is_replacing_ = true;
  if (before) before();
  const auto ended = end_log();
  if (!ended) {
    is_replacing_ = false;
    if (after) after(log_->log);
    return std::unexpected(ended.error());
  }
  auto begun = begin({.lock = retire(), .ring = std::move(ring)});
  if (!begun) {
    wait_for_disk(begun.error());
    return std::unexpected(std::move(begun).error().in(
        "no log is open at the moment: the one before has ended, and another one cannot begin"));
  }
  return NewLog{log_->log, (folder_ / ("*" + log_->kept)).string()};
}

// Everything that was appended is in a segment: who asks later whether it is durable can be told
// that it is.
Result<void> DecisionSpool::State::end_log() {
  {
    const MutexLock lock(mutex_);
    is_changing_ = true;
  }
  log_->tail.end();
  if (const auto sealed = log_->sealer.seal_now(); !sealed) {
    const MutexLock lock(mutex_);
    log_->tail.resume();
    log_->tail.add_unrecorded(std::exchange(unrecorded_, 0));
    is_changing_ = false;
    changed_.notify_all();
    return std::unexpected(sealed.error());
  }
  // Without it the log ends as after a kill.
  auto ended = log_->tail.append_own(record::RunEnd{"a new log follows"});
  Result<void> sealed;
  if (ended) sealed = log_->sealer.seal_now();
  if (!ended || !sealed)
    log::write(log::Level::kWarn, "spool_end_not_recorded", ended ? sealed.error() : ended.error());
  failpoint("spool.after_end");
  return {};
}

FolderLock DecisionSpool::State::retire() {
  const SpoolStatus last = log_->status();
  {
    const MutexLock lock(mutex_);
    current_.set(nullptr);
    add_counters(past_, last);
  }
  left_.wait();
  FolderLock lock = std::move(log_->lock);
  log_.reset();
  return lock;
}

// --- for those who decide and those who ship

Result<std::optional<Written>> DecisionSpool::State::append_later(const Entry& entry) {
  const auto until = steady_clock::now() + milliseconds(kNewLogWaitMs);
  while (true) {
    MutexLock lock(mutex_);
    while (is_changing_ && changed_.wait_until(lock, until) == std::cv_status::no_timeout) continue;
    const auto use = current_.get();
    if (!use || is_changing_ || is_closed_) {
      if (is_closed_ || must_be_recorded(entry, options_.when_full)) {
        ++past_.refused;
        return not_recorded_because(is_closed_         ? "the agent is stopping"
                                    : is_changing_     ? "a new log takes long to begin"
                                    : trouble_.empty() ? "no log is open"
                                                       : trouble_);
      }
      ++past_.lost;
      unrecorded_ += decisions_in(entry);
      return std::nullopt;
    }
    lock.unlock();
    auto written = use->log.append(entry);
    if (written || written.error().code != ErrorCode::kState) return written;
  }
}

void DecisionSpool::State::drop(std::string path, record::Outcome outcome, std::string rule) {
  if (!drops_.add(std::move(path), outcome, std::move(rule))) return;
  // The first one begins the time until they are written.
  if (const auto now = use()) now->log.sealer_wakeup.signal();
}

void DecisionSpool::State::connected(bool is_connected) {
  const MutexLock lock(mutex_);
  is_connected_ = is_connected;
  if (const auto now = use()) now->log.sealer.connected(is_connected);
}

void DecisionSpool::State::on_sealed(std::function<void()> sealed) {
  const MutexLock lock(mutex_);
  on_sealed_ = std::move(sealed);
  if (const auto now = use()) now->log.sealer.on_sealed(on_sealed_);
}

void DecisionSpool::State::set_node(std::string node) {
  const MutexLock lock(mutex_);
  if (identity_.node.empty()) identity_.node = node;
  if (const auto now = use()) now->log.sealer.set_node(std::move(node));
}

void DecisionSpool::State::on_new_log(std::function<void()> before,
                                      std::function<void(const record::LogId&)> after) {
  // Not while they are called: who says that they end may end after this.
  const MutexLock changing(change_);
  const MutexLock lock(mutex_);
  before_new_log_ = std::move(before);
  after_new_log_ = std::move(after);
}

SpoolStatus DecisionSpool::State::status() const {
  // A log that ends is counted once: in the past, when it is not current any more.
  const MutexLock lock(mutex_);
  const auto now = use();
  SpoolStatus out = now ? now->log.status() : SpoolStatus();
  add_counters(out, past_);
  if (!now) {
    out.is_failing = true;
    out.trouble = trouble_.empty() ? "no log is open" : trouble_;
  }
  out.dropped = drops_.total();
  out.dropped_by_rule = drops_.by_rule();
  return out;
}

// --- the spool

DecisionSpool::DecisionSpool(std::unique_ptr<State> state) : state_(std::move(state)) {}
DecisionSpool::~DecisionSpool() = default;

Result<std::unique_ptr<DecisionSpool>> DecisionSpool::open(const std::filesystem::path& folder,
                                                           SpoolOptions options,
                                                           SpoolIdentity identity) {
  auto state = std::make_unique<State>(folder, std::move(options), std::move(identity));
  NOTP_TRY(state->open());
  return std::unique_ptr<DecisionSpool>(new DecisionSpool(std::move(state)));
}

Result<std::unique_ptr<DecisionSpool>> DecisionSpool::open_or_wait(
    const std::filesystem::path& folder, SpoolOptions options, SpoolIdentity identity) {
  auto state = std::make_unique<State>(folder, std::move(options), std::move(identity));
  auto opened = state->open();
  if (!opened && opened.error().code != ErrorCode::kIo) return std::unexpected(opened.error());
  if (!opened) state->wait_for_disk(std::move(opened).error());
  return std::unique_ptr<DecisionSpool>(new DecisionSpool(std::move(state)));
}

void DecisionSpool::close(std::string reason) { state_->close(std::move(reason)); }

Result<NewLog> DecisionSpool::begin_new_log(std::string reason) {
  return state_->begin_new_log(reason);
}

Result<std::optional<Written>> DecisionSpool::append(Entry entry) {
  if (const auto use = state_->use()) {
    auto written = use->log.append(entry);
    if (written || written.error().code != ErrorCode::kState) return written;
  }
  return state_->append_later(entry);
}

// Without an open log the position is of one that has ended.
void DecisionSpool::when_durable(record::Position position,
                                 std::function<void(Result<void>)> done) {
  const auto use = state_->use();
  if (!use) return done({});
  use->log.when_durable(position, std::move(done));
}

void DecisionSpool::drop(std::string path, record::Outcome outcome, std::string rule) {
  state_->drop(std::move(path), outcome, std::move(rule));
}

SealedLog DecisionSpool::sealed() const {
  const auto use = state_->use();
  return use ? use->log.sealer.sealed() : SealedLog();
}

Result<record::Segment> DecisionSpool::segment(record::Position position) {
  const auto use = state_->use();
  if (!use) return not_open();
  return use->log.table->segment(position);
}

void DecisionSpool::acknowledged(record::Position next) {
  if (const auto use = state_->use()) use->log.sealer.acknowledged(next);
}

TreeState DecisionSpool::tree() const {
  const auto use = state_->use();
  return use ? use->log.receipts.state() : TreeState();
}

std::pair<std::optional<record::LogId>, uint64_t> DecisionSpool::offered_tree() const {
  const auto use = state_->use();
  if (!use) return {};
  return use->log.receipts.offered_tree();
}

Result<wire::LogWitness> DecisionSpool::witness(const wire::LogReceipt& receipt,
                                                const ReceiptPeer& peer, TimeMs wall_ms) {
  const auto use = state_->use();
  if (!use) return not_open();
  return use->log.witness(receipt, peer, wall_ms);
}

void DecisionSpool::connected(bool is_connected) { state_->connected(is_connected); }
void DecisionSpool::on_sealed(std::function<void()> sealed) {
  state_->on_sealed(std::move(sealed));
}
void DecisionSpool::on_new_log(std::function<void()> before,
                               std::function<void(const record::LogId&)> after) {
  state_->on_new_log(std::move(before), std::move(after));
}
void DecisionSpool::set_node(std::string node) { state_->set_node(std::move(node)); }
SpoolStatus DecisionSpool::status() const { return state_->status(); }

Result<void> DecisionSpool::seal_now() {
  const auto use = state_->use();
  if (!use) return not_open();
  return use->log.sealer.seal_now();
}

Result<void> DecisionSpool::read(record::Position from,
                                 const std::function<void(const record::Record&)>& each) {
  const auto use = state_->use();
  if (!use) return not_open();
  return use->log.read(from, each);
}

}  // namespace notp::spool
