// The codecs of the parts that messages about decision records share: an offer of a log is in a
// Hello, a segment's head is in Segment and in SegmentPart.
#pragma once

#include <vector>

#include "protocol/wire/log_limits.hpp"
#include "protocol/wire/message_codec.hpp"
#include "protocol/wire/messages/decision_log.hpp"

namespace notp::wire {

constexpr FieldRule log_rule(uint32_t number) { return rules::bytes(number, record::LogId::kSize); }
inline std::string log_bytes(const record::LogId& log) { return std::string(log.view()); }

// At most kPositionMax. `what` names the field.
Result<void> check_position(uint64_t position, std::string_view what);
// At most kTimestampMsMax.
Result<void> check_oldest_age(uint64_t age_ms);

template <>
struct Codec<LogOffer> {
  using Proto = pb::LogOffer;
  static constexpr FieldRule kFields[] = {log_rule(1),   rules::u64(2), rules::hash(3),
                                          rules::u64(4), log_rule(5),   rules::u64(6)};
  static constexpr Layout kLayout{"LogOffer", kFields};

  static Result<void> check(const LogOffer& in);
  static void put(Proto& out, const LogOffer& in);
  static Result<LogOffer> take(const Proto& in);
};

// A segment's head and, for a segment without a body, its subtrees: all of pb::Segment but the size
// and the stream of a body that follows, and what the node says of its log.
struct SegmentOutline {
  record::SegmentHead head;
  std::vector<Hash> subtrees;
};

template <>
struct Codec<SegmentOutline> {
  using Proto = pb::Segment;
  static constexpr FieldRule kFields[] = {log_rule(1),
                                          rules::u64(2),
                                          rules::u32(3),
                                          rules::u64(4),
                                          rules::u64(5),
                                          rules::bytes(6, record::kSegmentSecretBytes),
                                          rules::bytes(7, limits::kCheckpointBytesMax),
                                          rules::u32(8),
                                          rules::hash(9, limits::kSegmentSubtreesMax),
                                          rules::u64(10)};
  static constexpr Layout kLayout{"Segment", kFields};

  // `has_body` decides whether there are subtrees.
  static Result<void> check(const record::SegmentHead& head, const std::vector<Hash>& subtrees,
                            bool has_body);
  static void put(Proto& out, const record::SegmentHead& head, const std::vector<Hash>& subtrees);
  static Result<SegmentOutline> take(const Proto& in);
};

}  // namespace notp::wire
