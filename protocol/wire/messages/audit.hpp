// Requests about recorded decisions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "protocol/record/record.hpp"
#include "protocol/record/segment.hpp"
#include "protocol/wire/log_limits.hpp"
#include "protocol/wire/messages/shared.hpp"
#include "protocol/wire/request_traits.hpp"

namespace notp::wire {

// Members that are empty or zero do not restrict.
struct DecisionFilter {
  TimeMs since_ms = 0, until_ms = 0;  // [since, until)
  std::string node;                   // identity, or its beginning and '*'
  std::string ledger;                 // "zone/name"
  std::string path;                   // and the paths below it
  record::Outcome outcome = record::Outcome::kNone;
  Hash release_hash;
  std::vector<std::string> values;  // texts of strings or numbers in input or result: all of them
  std::string contains;             // a text anywhere in input or result
  std::string decision_id;
  std::vector<record::Kind> kinds;  // empty: decisions alone
  bool operator==(const DecisionFilter&) const = default;
};

struct DecisionRow {
  std::string node;  // identity
  record::LogId log;
  record::Position position = 0;
  Bytes record;  // empty: too large for a frame; its segment has it
  // The ACTIVE record that this one refers to; empty: none, or in an earlier row of the page with
  // the same log and place.active.
  Bytes active;
};

// Rows are never left out to make a page fit its frame, because the cursor would then pass them
// over: its maker keeps it below kFrameBytesMax, and one above it cannot be sent.
struct DecisionsPage {
  static constexpr std::string_view kName = "DecisionsPage";

  std::vector<DecisionRow> rows;
  bool more = false;
  Bytes cursor;           // with more; at most kCursorBytesMax
  uint64_t searched = 0;  // records looked at for this page
};

struct DecisionsRequest {
  static constexpr std::string_view kName = "DecisionsRequest";
  static constexpr std::optional<Action> kAction = Action::kAudit;
  static constexpr RequestKind kKind = RequestKind::kAudit;
  using Response = DecisionsPage;

  DecisionFilter filter;
  Bytes cursor;           // of the page before; empty: from the start
  uint32_t rows_max = 0;  // 1 to kQueryRowsMax
  bool oldest_first = false;
};

struct DecisionCount {
  std::string path;
  std::string ledger;
  record::Outcome outcome = record::Outcome::kNone;
  uint64_t count = 0;
};

// Fits its frame, like a DecisionsPage.
struct DecisionCountsPage {
  static constexpr std::string_view kName = "DecisionCountsPage";

  std::vector<DecisionCount> rows;  // of the segments searched for this page; the caller adds pages
  bool more = false;
  Bytes cursor;
};

struct DecisionCountsRequest {
  static constexpr std::string_view kName = "DecisionCountsRequest";
  static constexpr std::optional<Action> kAction = Action::kAudit;
  static constexpr RequestKind kKind = RequestKind::kAudit;
  using Response = DecisionCountsPage;

  DecisionFilter filter;
  Bytes cursor;
};

struct LogFault {
  ErrorCode code = ErrorCode::kLogFork;
  uint64_t position = 0;
  std::string message;
  TimeMs at_ms = 0;
  std::string checkpoint;  // the note that contradicts
};

struct LogRow {
  std::string node;  // identity
  record::LogId log;
  uint64_t size = 0;  // records that the registry has
  Hash root;
  Bytes announcement;
  TimeMs first_ms = 0, last_ms = 0;
  std::vector<LogFault> faults;  // newest first; the first kLogFaultsListedMax are sent
  uint64_t pruned = 0;           // records whose body the node had dropped
};

struct LogsPage {
  static constexpr std::string_view kName = "LogsPage";

  std::vector<LogRow> rows;  // ascending by log id
  bool more = false;
};

struct LogsRequest {
  static constexpr std::string_view kName = "LogsRequest";
  static constexpr std::optional<Action> kAction = Action::kAudit;
  static constexpr RequestKind kKind = RequestKind::kAudit;
  using Response = LogsPage;

  std::string node;                    // as in DecisionFilter
  std::optional<record::LogId> after;  // the last row of the page before
};

struct SegmentPart {
  static constexpr std::string_view kName = "SegmentPart";

  record::SegmentHead head;
  std::vector<Hash> subtrees;  // of a segment without a body
  uint64_t total = 0;          // bytes of the whole content; 0: the segment has no body
  Bytes content;               // from the requested offset on, at most kSegmentPartBytesMax
  // The content is as record::reduce() makes it; else it is the segment's body.
  bool reduced = false;
  TimeMs stored_ms = 0;
};

struct SegmentRequest {
  static constexpr std::string_view kName = "SegmentRequest";
  static constexpr std::optional<Action> kAction = Action::kAudit;
  static constexpr RequestKind kKind = RequestKind::kAudit;
  using Response = SegmentPart;

  record::LogId log;
  record::Position position = 0;  // the segment that holds it
  uint64_t offset = 0;
};

}  // namespace notp::wire
