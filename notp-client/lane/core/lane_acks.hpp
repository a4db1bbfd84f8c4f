// How far the store and the PDP are with what arrived, and what the registry is told of it. Pure.
// One thread.
#pragma once

#include <algorithm>
#include <deque>
#include <optional>

#include "notp-client/lane/core/lane_effect.hpp"

namespace notp::lane {

class LaneAcks {
 public:
  // Returns the number of a change of about `bytes`. With it, all revocations up to `position` are
  // here; nullopt: that is not known.
  uint64_t begin(std::optional<wire::LanePosition> position, size_t bytes);
  void on_durable(uint64_t number);
  void on_decided(uint64_t number, size_t tokens);
  // A hole in what is durable: nothing is acknowledged until a snapshot that begins now has ended.
  void on_lost(uint64_t number);
  void snapshot_begins() { snapshot_losses_ = losses_; }
  void snapshot_ends() { is_whole_ |= snapshot_losses_ == losses_; }

  // Whether what is durable has no hole, once the changes before are durable too.
  bool is_whole() const { return is_whole_; }
  uint64_t losses() const { return losses_; }
  uint64_t last() const { return last_; }  // number
  // Decided and durable; 0: nothing.
  uint64_t acknowledged() const { return acknowledged_ ? acknowledged_->revision : 0; }
  // Whether that is a revision of this history: another one's says nothing to its registry.
  bool is_of(const wire::LanePosition& history) const {
    return acknowledged_ && acknowledged_->instance == history.instance &&
           acknowledged_->grant == history.grant;
  }

  // More than this node should keep open; less than half of that.
  bool is_full() const;
  bool has_room() const;

  // The registry of a new session knows nothing.
  void begin_session() { reported_.reset(); }
  // What is to be reported now, and when the next report is due (boot clock).
  std::optional<wire::LaneApplied> take_report(wire::LaneAge age, TimeMs boot_ms);
  TimeMs next_report(wire::LaneAge age) const;

 private:
  struct Open {
    uint64_t number = 0;
    std::optional<wire::LanePosition> position;
    size_t bytes = 0;
  };
  void close();
  bool differs(wire::LaneAge age) const;

  std::deque<Open> open_;  // ascending
  size_t open_bytes_ = 0;
  uint64_t last_ = 0, durable_ = 0, decided_ = 0;  // numbers
  uint64_t losses_ = 0, snapshot_losses_ = 0;
  bool is_whole_ = true;
  std::optional<wire::LanePosition> acknowledged_;
  size_t tokens_ = 0;
  std::optional<wire::LaneApplied> reported_;
  TimeMs free_ms_ = 0;  // when the next report may go
};

}  // namespace notp::lane
