// The lane.db of a simulated node: what LaneStore keeps, in memory.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "notp-client/lane/core/lane_effect.hpp"

namespace notp::sim {

class LaneDisk {
 public:
  explicit LaneDisk(bool keeps_tokens) : keeps_tokens_(keeps_tokens) {}

  // As LaneStore::open(): the marks that a process starts with.
  const lane::LaneMarks& open();
  const lane::LaneMarks& marks() const { return marks_; }
  std::vector<feed::Event> load() const;
  // One transaction; false: it failed, and nothing of it is there.
  bool write(std::span<const lane::effect::Take> changes, bool fails);
  void write_marks(const lane::LaneMarks& marks) { marks_ = marks; }
  void expire(int64_t now_s);
  // Whether what the event revokes is durable.
  bool has(const feed::Event& revocation) const;

 private:
  void put(const feed::Event& event, bool is_row);

  const bool keeps_tokens_;
  lane::LaneMarks marks_;
  std::map<feed::EventKey, feed::Event> revocations_;  // and lists
  // With the snapshot that had it last.
  std::map<feed::TokenId, std::pair<uint64_t, feed::Event>> tokens_;
  uint64_t generation_ = 0;
  uint64_t losses_ = 0;  // of this process
};

}  // namespace notp::sim
