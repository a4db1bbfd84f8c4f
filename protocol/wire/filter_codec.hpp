// The codec of a filter of decisions, which several requests have.
#pragma once

#include <fmt/format.h>

#include "common/limits.hpp"
#include "protocol/wire/messages/audit.hpp"
#include "protocol/wire/part_codec.hpp"

namespace notp::wire {

constexpr FieldRule filter_text(uint32_t number, size_t count_max = 1) {
  return rules::bytes(number, limits::kFilterTextBytesMax, count_max);
}

// A filter that was cut would ask for something else, so it is refused instead.
inline Result<void> check_filter_text(std::string_view text, size_t bytes_max,
                                      std::string_view what) {
  if (text.size() <= bytes_max && is_utf8(text)) return {};
  return fail(ErrorCode::kMessage,
              fmt::format("filter: {} is not UTF-8, or longer than {} bytes", what, bytes_max));
}

inline Result<record::Outcome> take_outcome(uint32_t in) {
  if (in >= record::kOutcomes) return bad(fmt::format("unknown outcome {}", in));
  return static_cast<record::Outcome>(in);
}

inline Result<record::Kind> take_kind(uint32_t in) {
  if (in > static_cast<uint32_t>(record::Kind::kDropped))
    return bad(fmt::format("unknown kind of record {}", in));
  return static_cast<record::Kind>(in);
}

inline Result<void> check_cursor(const Bytes& cursor) {
  return require(cursor.size() <= limits::kCursorBytesMax, "a cursor is too long");
}

// A reader that is told to go on must know where.
inline Result<void> check_next(bool more, const Bytes& cursor) {
  NOTP_TRY(require(more != cursor.empty(), "a page has more exactly when it has a cursor"));
  return check_cursor(cursor);
}

template <>
struct Codec<DecisionFilter> {
  using Proto = pb::DecisionFilter;
  static constexpr FieldRule kFields[] = {rules::u64(1),
                                          rules::u64(2),
                                          rules::identity(3),
                                          filter_text(4),
                                          filter_text(5),
                                          rules::u32(6),
                                          rules::hash(7),
                                          filter_text(8, limits::kFilterValuesMax),
                                          filter_text(9),
                                          rules::name(10),
                                          rules::packed_u32(11, limits::kFilterKindsMax)};
  static constexpr Layout kLayout{"DecisionFilter", kFields};

  static Result<void> check(const DecisionFilter& in) {
    NOTP_TRY(require(in.since_ms >= 0 && in.since_ms <= limits::kTimestampMsMax &&
                         in.until_ms >= 0 && in.until_ms <= limits::kTimestampMsMax,
                     "filter: a time is before 1970 or after 9999"));
    NOTP_TRY(check_filter_text(in.node, limits::kIdentityBytesMax, "node"));
    NOTP_TRY(check_filter_text(in.ledger, limits::kFilterTextBytesMax, "ledger"));
    NOTP_TRY(check_filter_text(in.path, limits::kFilterTextBytesMax, "path"));
    NOTP_TRY(require(in.values.size() <= limits::kFilterValuesMax, "filter: too many values"));
    for (const std::string& value : in.values)
      NOTP_TRY(check_filter_text(value, limits::kFilterTextBytesMax, "a value"));
    NOTP_TRY(check_filter_text(in.contains, limits::kFilterTextBytesMax, "contains"));
    NOTP_TRY(check_filter_text(in.decision_id, limits::kNameBytesMax, "decision_id"));
    return require(in.kinds.size() <= limits::kFilterKindsMax, "filter: too many kinds");
  }
  static void put(Proto& out, const DecisionFilter& in) {
    out.set_since_ms(in.since_ms);
    out.set_until_ms(in.until_ms);
    out.set_node(in.node);
    out.set_ledger(in.ledger);
    out.set_path(in.path);
    out.set_outcome(static_cast<uint32_t>(in.outcome));
    out.set_release(hash_bytes_if_set(in.release_hash));
    for (const std::string& value : in.values) out.add_values(value);
    out.set_contains(in.contains);
    out.set_decision_id(in.decision_id);
    for (const record::Kind kind : in.kinds) out.add_kinds(static_cast<uint32_t>(kind));
  }
  static Result<DecisionFilter> take(const Proto& in) {
    DecisionFilter out;
    out.since_ms = in.since_ms();
    out.until_ms = in.until_ms();
    out.node = in.node();
    out.ledger = in.ledger();
    out.path = in.path();
    NOTP_ASSIGN(out.outcome, take_outcome(in.outcome()));
    NOTP_ASSIGN(out.release_hash, take_hash(in.release()));
    out.values.assign(in.values().begin(), in.values().end());
    out.contains = in.contains();
    out.decision_id = in.decision_id();
    for (const uint32_t number : in.kinds()) {
      NOTP_ASSIGN(const record::Kind kind, take_kind(number));
      out.kinds.push_back(kind);
    }
    return out;
  }
};

}  // namespace notp::wire
