// The conversation of a recovery with the nodes: what is asked, and what comes back.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/mutex.hpp"
#include "notp-server/recovery/holders.hpp"
#include "notp-server/recovery/lost_releases.hpp"
#include "protocol/serve/recovery_intake.hpp"

namespace notp::recovery {

// Thread-safe. One thread, the recovery's, asks and takes answers in: step(), wait(), fetch() and
// wait_for_answers() are its own.
class NodeInquiry {
 public:
  struct Answer {
    uint64_t session = 0;
    std::string identity;
    uint64_t above_version = 0;  // of the question
    wire::Held held;
  };
  struct Returned {
    wire::Return head;
    std::unique_ptr<session::Upload> artifact;
  };
  // Called on the recovery's thread, for each answer.
  using TakeIn = std::function<void(const Answer&)>;
  // The newest root that is known; nodes are asked for what is above.
  using NewestRoot = std::function<uint64_t()>;

  NodeInquiry(TakeIn take_in, NewestRoot newest_root)
      : take_in_(std::move(take_in)), newest_root_(std::move(newest_root)) {}

  // `peers` outlives stop().
  void start(serve::PeerQuestions& peers);
  void stop();
  bool is_open() const;  // between start() and stop()

  // --- the sessions

  void heard(const std::string& identity);
  void holds_more(const serve::SessionHandle& session, const model::LedgerId& ledger,
                  uint64_t above_version);
  void answered(const serve::SessionHandle& session, wire::Held held);
  void returned(const serve::SessionHandle& session, wire::Return head,
                std::unique_ptr<session::Upload> artifact);
  // False: the session was never asked.
  bool ended(const serve::SessionHandle& session);
  bool is_known(uint64_t session) const;
  // Of these nodes, those that had no session since the start, or have not answered yet.
  std::vector<std::string> silent_of(const std::vector<std::string>& nodes) const;
  // True the first time that something is wrong with what a session says.
  bool note_fault(uint64_t session);

  // --- the thread

  // There is nothing to do before more news or `due_ms`, in boot time.
  struct Idle {
    uint64_t news = 0;
    TimeMs due_ms = kNever;
  };
  // Asks, or takes in one answer. nullopt: there may be more to do at once.
  std::optional<Idle> step();
  void wait(const Idle& idle);
  void wake();
  // Asks one session again, or all that were ever asked about the ledger.
  void ask_again(uint64_t session, const model::LedgerId& ledger, uint64_t above_version);
  void ask_all_again(const model::LedgerId& ledger, uint64_t above_version);
  void wait_for_answers();

  // One of these sessions, unless it was tried, or still owes another release.
  std::optional<serve::SessionHandle> choose(const std::set<uint64_t>& sessions,
                                             const std::set<uint64_t>& tried) const;
  // Has a session give back a release. `base_version`: 0: full content. kTimeout, kCancelled by
  // stop(), and the codes of nodes.
  Result<Returned> fetch(const serve::SessionHandle& session, const LostRelease& lost,
                         uint64_t base_version);

 private:
  const TakeIn take_in_;
  const NewestRoot newest_root_;

  mutable Mutex mutex_;
  ConditionVariable wake_;
  serve::PeerQuestions* peers_ NOTP_GUARDED_BY(mutex_) = nullptr;  // null: before start()
  bool is_stopping_ NOTP_GUARDED_BY(mutex_) = false;
  uint64_t news_ NOTP_GUARDED_BY(mutex_) = 0;  // counts what the thread is woken for
  Holders holders_ NOTP_GUARDED_BY(mutex_);
  std::unordered_map<std::string, TimeMs> heard_
      NOTP_GUARDED_BY(mutex_);                          // since when, in boot time
  std::deque<Answer> answers_ NOTP_GUARDED_BY(mutex_);  // Holders bounds it
  uint64_t next_request_ NOTP_GUARDED_BY(mutex_) = 1;
  uint64_t open_request_ NOTP_GUARDED_BY(mutex_) = 0;  // the Return that is waited for; 0: none
  std::optional<Returned> returned_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::recovery
