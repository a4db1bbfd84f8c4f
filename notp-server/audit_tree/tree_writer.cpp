#include "notp-server/audit_tree/tree_writer.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "common/failpoint.hpp"
#include "common/log.hpp"

namespace notp::audit {
namespace {

// About what an entry takes in memory and encoded.
size_t bytes_of(const record::TreeEntry& entry) {
  constexpr size_t kFixed = 128, kHash = Hash::kSize + 2, kPosition = 7;
  return kFixed + entry.hashes.size() * kHash + entry.positions.size() * kPosition +
         entry.rule.size() + entry.by.size() + entry.id.size();
}

std::unexpected<Error> over() {
  return fail(ErrorCode::kCancelled,
              "the registry stops: whether the entry is in its tree shows after its next start");
}

}  // namespace

TreeWriter::TreeWriter(TreeLog& tree, TreeWriterOptions options)
    : tree_(tree), options_(std::move(options)) {}

TreeWriter::~TreeWriter() { stop(); }

void TreeWriter::start() {
  thread_ = std::thread([this] { run(); });
}

void TreeWriter::stop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  room_.notify_all();
  if (thread_.joinable()) thread_.join();
  Round left;
  give_up(left);
}

// --- adding

bool TreeWriter::has_room(size_t bytes) const {
  return queue_.size() < options_.queue_max && queue_bytes_ + bytes <= options_.queue_bytes_max;
}

void TreeWriter::push(const record::TreeEntry& entry, size_t bytes, Sealed sealed) {
  if (queue_.empty()) oldest_ms_ = options_.clock().boot_ms;
  queue_.push_back({entry, bytes, std::move(sealed)});
  queue_bytes_ += bytes;
}

bool TreeWriter::try_add(const record::TreeEntry& entry, Sealed sealed) {
  const size_t bytes = bytes_of(entry);
  {
    const MutexLock lock(mutex_);
    if (stopping_ || !has_room(bytes)) return false;
    push(entry, bytes, std::move(sealed));
    // The thread waits for a time only while something waits to be sealed.
    if (queue_.size() != 1 && queue_.size() < limits::kSealEntries) return true;
  }
  wake_.notify_all();
  return true;
}

bool TreeWriter::push_when_room(const record::TreeEntry& entry, Sealed sealed, bool is_urgent) {
  const size_t bytes = bytes_of(entry);
  {
    MutexLock lock(mutex_);
    while (!stopping_ && !has_room(bytes)) room_.wait(lock);
    if (stopping_) return false;
    push(entry, bytes, std::move(sealed));
    if (is_urgent) urgent_ = queue_.size();
  }
  wake_.notify_all();
  return true;
}

bool TreeWriter::add(const record::TreeEntry& entry) { return push_when_room(entry, {}, false); }

// Seals take entries in their order: the last one is the last to be durable.
Result<uint64_t> TreeWriter::append_now(std::span<const record::TreeEntry> entries) {
  for (const record::TreeEntry& entry : entries.first(entries.size() - 1))
    if (!push_when_room(entry, {}, true)) return over();
  Mutex mutex;
  ConditionVariable answered;
  std::optional<Result<uint64_t>> answer;
  const bool is_queued = push_when_room(
      entries.back(),
      [&](Result<uint64_t> index) {
        const MutexLock lock(mutex);
        answer = std::move(index);
        answered.notify_all();
      },
      true);
  if (!is_queued) return over();
  MutexLock lock(mutex);
  while (!answer) answered.wait(lock);
  return *std::move(answer);
}

void TreeWriter::seal_now() {
  {
    const MutexLock lock(mutex_);
    urgent_ = queue_.size();
  }
  wake_.notify_all();
}

bool TreeWriter::post(std::function<void()> task, size_t waiting_max) {
  {
    const MutexLock lock(mutex_);
    if (stopping_ || tasks_.size() >= waiting_max) return false;
    tasks_.push_back(std::move(task));
  }
  wake_.notify_all();
  return true;
}

uint64_t TreeWriter::sealed_size(const record::LogId& log) const {
  const auto leaf = tree_.newest_leaf_of(log);
  return leaf ? leaf->size : 0;
}

size_t TreeWriter::waiting() const {
  const MutexLock lock(mutex_);
  return queue_.size();
}

// --- the thread

bool TreeWriter::is_due() const {
  if (queue_.empty()) return false;
  return stopping_ || urgent_ > 0 || queue_.size() >= limits::kSealEntries || !has_room(0) ||
         options_.clock().boot_ms - oldest_ms_ >= options_.seal_ms;
}

void TreeWriter::take_round(Round& round) {
  for (uint64_t bytes = 0; !queue_.empty() && round.size() < limits::kSealRoundMax &&
                           bytes < limits::kSealRoundBytesMax;
       queue_.pop_front()) {
    bytes += queue_.front().bytes;
    queue_bytes_ -= queue_.front().bytes;
    round.push_back(std::move(queue_.front()));
  }
  urgent_ -= std::min(urgent_, round.size());
  oldest_ms_ = options_.clock().boot_ms;
}

bool TreeWriter::wait_for_work(Round& round, Tasks& tasks) {
  {
    MutexLock lock(mutex_);
    while (!stopping_ && tasks_.empty() && !is_due()) {
      if (queue_.empty()) {
        wake_.wait(lock);
        continue;
      }
      const TimeMs left_ms = oldest_ms_ + options_.seal_ms - options_.clock().boot_ms;
      wake_.wait_for(lock, std::chrono::milliseconds(std::max<TimeMs>(left_ms, 1)));
    }
    tasks.swap(tasks_);
    if (is_due()) take_round(round);
    if (stopping_ && round.empty() && tasks.empty()) return false;
  }
  room_.notify_all();
  return true;
}

void TreeWriter::run() {
  for (;;) {
    Round round;
    Tasks tasks;
    if (!wait_for_work(round, tasks)) return;
    for (const auto& task : tasks) task();
    if (!round.empty() && !seal(round)) return give_up(round);
  }
}

bool TreeWriter::seal(Round& round) {
  std::vector<record::TreeEntry> entries;
  for (Waiting& each : round) entries.push_back(std::move(each.entry));
  const uint64_t first = tree_.size();
  failpoint("tree.before_seal");
  auto sealed = tree_.append(entries, options_.clock().wall_ms);
  for (bool is_failing = false; !sealed; is_failing = true) {
    if (!is_failing) log::write(log::Level::kError, "tree_not_sealed", sealed.error());
    if (!pause()) return false;
    sealed = tree_.append(entries, options_.clock().wall_ms);
  }
  failpoint("tree.after_seal");
  for (size_t i = 0; i < round.size(); ++i)
    if (round[i].sealed) round[i].sealed(first + i);
  options_.on_sealed(*sealed);
  return true;
}

// Waits before a repetition; false: the writer stops.
bool TreeWriter::pause() {
  MutexLock lock(mutex_);
  const auto until =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(options_.retry_ms);
  while (!stopping_ && wake_.wait_until(lock, until) != std::cv_status::timeout) {
  }
  return !stopping_;
}

// What was not sealed is answered, and lost.
void TreeWriter::give_up(Round& round) {
  {
    const MutexLock lock(mutex_);
    std::ranges::move(queue_, std::back_inserter(round));
    queue_.clear();
    queue_bytes_ = 0;
    tasks_.clear();
  }
  for (const Waiting& each : round)
    if (each.sealed) each.sealed(over());
  round.clear();
}

}  // namespace notp::audit
