// The thread that seals the registry's tree: entries of many threads, one checkpoint every
// kTreeSealMs.
#pragma once

#include <deque>
#include <functional>
#include <thread>

#include "common/mutex.hpp"
#include "notp-server/audit/tree_sink.hpp"
#include "notp-server/audit_tree/tree_limits.hpp"
#include "notp-server/audit_tree/tree_log.hpp"

namespace notp::audit {

struct TreeWriterOptions {
  std::function<Now()> clock = read_clock;
  int64_t seal_ms = limits::kTreeSealMs;
  int64_t retry_ms = limits::kTreeRetryMs;
  size_t queue_max = limits::kTreeQueueMax;
  uint64_t queue_bytes_max = limits::kTreeQueueBytesMax;
  // Called on the thread after each seal.
  std::function<void(const SealedCheckpoint&)> on_sealed = [](const SealedCheckpoint&) {};
};

// Thread-safe. A commit that fails is repeated until it succeeds: no entry is passed over.
class TreeWriter final : public TreeSink {
 public:
  using Sealed = std::function<void(Result<uint64_t> index)>;

  // `tree` outlives it, and has no other writer.
  TreeWriter(TreeLog& tree, TreeWriterOptions options);
  ~TreeWriter() override;
  TreeWriter(const TreeWriter&) = delete;
  TreeWriter& operator=(const TreeWriter&) = delete;

  void start();
  // Seals what waits, unless the disk does not take it, and ends. Blocking; a second call does
  // nothing.
  void stop();

  bool try_add(const record::TreeEntry& entry) override { return try_add(entry, {}); }
  // `sealed` is called exactly once, on the thread when the entry is durable, or by stop() with
  // kCancelled. It must not block.
  bool try_add(const record::TreeEntry& entry, Sealed sealed);
  bool add(const record::TreeEntry& entry) override;
  using TreeSink::append_now;
  Result<uint64_t> append_now(std::span<const record::TreeEntry> entries) override;
  uint64_t sealed_size(const record::LogId& log) const override;

  // Seals what waits without waiting for the time.
  void seal_now();
  // Runs `task` on the thread, between seals. False: so many of them wait, or the tree takes no
  // more.
  bool post(std::function<void()> task, size_t waiting_max = limits::kWitnessedQueueMax);

  size_t waiting() const;

 private:
  struct Waiting {
    record::TreeEntry entry;
    size_t bytes = 0;  // about
    Sealed sealed;
  };
  using Round = std::vector<Waiting>;
  using Tasks = std::deque<std::function<void()>>;

  bool has_room(size_t bytes) const NOTP_REQUIRES(mutex_);
  void push(const record::TreeEntry& entry, size_t bytes, Sealed sealed) NOTP_REQUIRES(mutex_);
  // Waits for room, and queues the entry. False: the tree takes no more.
  bool push_when_room(const record::TreeEntry& entry, Sealed sealed, bool is_urgent);
  void run();
  // False: the writer stops, and nothing waits any more.
  bool wait_for_work(Round& round, Tasks& tasks);
  bool is_due() const NOTP_REQUIRES(mutex_);
  void take_round(Round& round) NOTP_REQUIRES(mutex_);
  // False: the writer stops, and the disk does not take the round.
  bool seal(Round& round);
  bool pause();
  void give_up(Round& round);

  TreeLog& tree_;
  const TreeWriterOptions options_;

  mutable Mutex mutex_;
  ConditionVariable wake_;  // the thread
  ConditionVariable room_;  // who adds
  std::deque<Waiting> queue_ NOTP_GUARDED_BY(mutex_);
  uint64_t queue_bytes_ NOTP_GUARDED_BY(mutex_) = 0;
  Tasks tasks_ NOTP_GUARDED_BY(mutex_);
  TimeMs oldest_ms_ NOTP_GUARDED_BY(mutex_) = 0;  // boot time at which the first that waits came
  size_t urgent_ NOTP_GUARDED_BY(mutex_) = 0;     // so many from the front are sealed now
  bool stopping_ NOTP_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace notp::audit
