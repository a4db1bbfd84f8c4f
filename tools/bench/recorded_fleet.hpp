// Nodes with logs of decisions, whose segments are made on demand: what a registry takes in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/record/record.hpp"
#include "protocol/record/segment.hpp"

namespace notp::bench {

inline constexpr const char* kFleetDomain = "core-platform.internal";
// A value and a text that some records have, spread evenly, beside what every record has. The text
// is no value of its own, and so in no filter.
inline constexpr const char* kRareValue = "case-4711";
inline constexpr const char* kRareText = "reopened after a call on 2026-01-07";
// A value that some six of ten decisions of a gateway have.
inline constexpr const char* kFrequentValue = "GET";

// One thread.
class RecordedFleet {
 public:
  // `records` in all logs together. The same numbers give the same records; keys are new.
  RecordedFleet(uint64_t seed, uint64_t records);

  struct NodeSegment {
    std::string node;
    record::Segment segment;
  };
  // The next full segment of the next node; nullopt: there are no more records. kInternal.
  Result<std::optional<NodeSegment>> next();

  struct Node {
    std::string name;  // SPIFFE id
    PrivateKey key;
    record::LogId log;
    record::Frontier tree = {};
  };
  const std::vector<Node>& nodes() const { return nodes_; }
  // Signed by a certificate that the node has issued to itself. kInternal.
  static Result<Bytes> announcement_of(const Node& node);

  // --- what was made so far
  uint64_t records() const { return made_; }
  uint64_t decisions() const { return decisions_; }
  uint64_t rare() const { return rare_; }
  uint64_t frequent() const { return frequent_; }
  // Ids of decisions, drawn evenly.
  std::vector<std::string> draw_ids(size_t count) const;

 private:
  record::Record make_record(size_t node, record::Position position);

  const uint64_t seed_, records_;
  std::vector<Node> nodes_;
  size_t turn_ = 0;
  uint64_t made_ = 0, decisions_ = 0, rare_ = 0, frequent_ = 0;
};

}  // namespace notp::bench
