// What a fleet measures of its nodes: how they are, and how long releases take to them.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/mutex.hpp"
#include "notp-server/fleet/activations.hpp"
#include "notp-server/fleet/census.hpp"

namespace notp::fleet {

// What nodes reported for the first time, and what is written.
struct News {
  struct Activation {
    model::LedgerId ledger;
    uint64_t version = 0;
    TimeMs took_ms = 0;
  };

  uint64_t activations = 0, rejections = 0;
  std::vector<Activation> measured;  // of the activations
};

// Thread-safe; a count is made by one thread. The nodes are counted a page at a time, at most one
// each kPageMs, so that the database is held for some milliseconds: 100,000 nodes take 20 s. A
// count is repeated while anything changes.
class Measures {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;
  static constexpr size_t kPageNodes = 1'000;
  static constexpr int64_t kPageMs = 200;

  // Counts from now on, and tells `activated`, unless it is empty, how long releases took.
  void begin(std::function<void(TimeMs took_ms)> activated);

  // As in Activations.
  void published(const model::LedgerId& ledger, uint64_t version, TimeMs now_ms);
  void seen(const std::string& node, bool connected, TimeMs now_ms);
  std::optional<TimeMs> took_ms(const std::string& node, const wire::Commit& active,
                                TimeMs now_ms) const;
  void written(const News& news);
  Activations::Times times(const model::LedgerId& ledger, uint64_t version) const;
  // Since the start. A release that a node activates or rejects counts once, also when the node
  // repeats it; of several within Fleet::kFlushMs the last one counts.
  uint64_t activations() const { return activation_count_; }
  uint64_t rejections() const { return rejection_count_; }

  // Anything that is counted has changed. Returns whether a count is due that was not due before.
  bool changed();
  bool has_to_count() const;
  // The last complete count; null: there is none yet.
  std::shared_ptr<const Census> census() const;

  // A page is due: of the nodes after this one. nullopt: not now.
  std::optional<std::string> page_due(SteadyTime now);
  // A node of that page.
  void count(const wire::NodeRow& node, bool is_distrusting) {
    count_.census.add(node, is_distrusting);
  }
  // The page is counted; `last` is its last node, nullopt: no page follows.
  void page_counted(std::optional<std::string> last);
  // It could not be read. The next change begins another count.
  void page_not_read();

 private:
  struct Count {
    SteadyTime next_at;  // of a page
    std::string after;
    Census census;
  };

  Count count_;  // used by the counting thread alone
  std::atomic<uint64_t> activation_count_ = 0, rejection_count_ = 0;

  mutable Mutex mutex_;
  Activations activations_ NOTP_GUARDED_BY(mutex_);
  std::function<void(TimeMs)> activated_ NOTP_GUARDED_BY(mutex_);
  bool has_begun_ NOTP_GUARDED_BY(mutex_) = false;
  bool is_counting_ NOTP_GUARDED_BY(mutex_) = false;
  bool has_changed_ NOTP_GUARDED_BY(mutex_) = true;  // since the count began
  std::shared_ptr<const Census> census_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::fleet
