// The tokens that a node asks its registry for, and how long the answers count. Pure. One thread.
#pragma once

#include <deque>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "notp-client/lane/core/lane_effect.hpp"

namespace notp::lane {

// Times are of the boot clock.
class LaneAsks {
 public:
  // nullopt: the registry is asked, or has been; take_resolved() will have the outcome.
  // `may_ask`: a lane is followed. What is new has to have room in the share of `caller`.
  std::optional<AskOutcome> ask(const feed::TokenId& id, const std::string& caller, bool may_ask,
                                TimeMs boot_ms);
  // What to send now.
  std::optional<wire::LaneAsk> take_frame(TimeMs boot_ms);

  // An answer: false if it was not waited for.
  bool is_open(const feed::TokenId& id) const { return open_.contains(id); }
  void on_unknown(const feed::TokenId& id, TimeMs boot_ms);
  // The table has the answer with the change `number`, and keeps it until `end_ms` at most. Returns
  // what it has to forget instead.
  std::vector<feed::TokenId> on_known(const feed::TokenId& id, uint64_t number, TimeMs end_ms);
  void on_decided(uint64_t number);
  // Nothing that is open is answered any more.
  void on_disconnected();

  // Whether the table may keep news about it.
  bool is_held(const feed::TokenId& id) const { return held_.contains(id); }
  // No answer counts any more: the table has to forget them.
  std::vector<feed::TokenId> take_held();
  // Answers that ended: the table has to forget them.
  std::vector<feed::TokenId> take_ended(TimeMs boot_ms);
  std::vector<std::pair<feed::TokenId, AskOutcome>> take_resolved() {
    return std::exchange(resolved_, {});
  }

  TimeMs next_deadline() const;
  void on_deadline(TimeMs boot_ms);

  size_t open() const { return open_.size(); }
  size_t held() const { return held_.size(); }
  uint64_t asked() const { return asked_; }
  uint64_t unanswered() const { return unanswered_; }

 private:
  template <typename T>
  using ById = std::unordered_map<feed::TokenId, T, feed::HashOfTokenId>;
  using Ids = ById<TimeMs>;
  struct Open {
    TimeMs until_ms = 0;  // until when an answer is waited for
    std::string caller;   // who asked first
  };

  bool has_room(const std::string& caller) const;
  bool close(const feed::TokenId& id);
  void release(const feed::TokenId& id);

  ById<Open> open_;
  std::unordered_map<std::string, size_t> open_of_;  // by caller; none is 0
  std::deque<std::pair<TimeMs, feed::TokenId>> open_order_;
  std::deque<feed::TokenId> unsent_;
  std::deque<std::pair<uint64_t, feed::TokenId>> undecided_;
  ById<uint64_t> deciding_;  // the newest number of each id in undecided_
  Ids held_;                 // until when an answer counts
  std::set<std::pair<TimeMs, feed::TokenId>> held_order_;
  Ids unknown_;
  std::deque<std::pair<TimeMs, feed::TokenId>> unknown_order_;
  std::vector<std::pair<feed::TokenId, AskOutcome>> resolved_;
  TimeMs free_ms_ = 0;  // when the next frame may go
  uint64_t asked_ = 0, unanswered_ = 0;
};

}  // namespace notp::lane
