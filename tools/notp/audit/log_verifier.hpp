// Recomputes a log from what a registry gives out, segment by segment, against the signatures of
// the node: what an auditor can prove without trust in the registry.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/notp/audit/audit_port.hpp"
#include "tools/notp/audit/audit_record.hpp"
#include "tools/notp/audit/node_authorities.hpp"
#include "tools/notp/audit/tree_verifier.hpp"

namespace notp::cli {

struct LogProblem {
  record::Position position = 0;  // the first record that is not proven
  Error why;
};

struct GapFound {
  record::Position position = 0;
  int64_t time_ns = 0;
  record::Gap gap;
};

enum class LogState : uint8_t { kWhole, kGaps, kDiffers };
// "whole", "gaps", "differs".
std::string_view log_state_name(LogState state);

struct LogReport {
  wire::LogRow row;
  uint64_t verified = 0;  // records whose hashes lead to what the node signed
  uint64_t segments = 0;
  uint64_t closed = 0;    // of them: records that the caller may not read; only hashes were seen
  uint64_t dropped = 0;   // of them: records whose bodies their node dropped; only hashes were seen
  uint64_t unsealed = 0;  // of them: not in the registry's tree yet
  // Of them: gone by statements in the registry's tree, by what those say.
  std::map<std::string, uint64_t> deleted;
  uint64_t unreadable = 0;  // of them: not decisions, as the node wrote them, not known here
  uint64_t lost = 0;        // decisions or records that gap records tell of
  std::vector<GapFound> gaps;
  std::optional<LogProblem> problem;  // the first one; nothing after it was looked at

  // kDiffers for a problem or for evidence of a fork that the registry keeps; kGaps for gap
  // records, dropped bodies, and segments that the registry refused because others were missing
  // before them.
  LogState state() const;
};

// One log. The caller fetches the segment at wanted() and gives it to take(), until there is none.
// Pure: no clock, no session.
class LogVerifier {
 public:
  struct Options {
    // If not null: the certificate of the log's announcement must be issued by one of them.
    const NodeAuthorities* authorities = nullptr;
    // What the registry's tree says of the log, which must be what is there; null: there is no
    // tree.
    const LogInTree* in_tree = nullptr;
    // The caller may read every record: one that is closed without a statement in the tree is
    // missing.
    bool may_see_all = false;
  };
  // The announcement of `row` must be of that log and node, and of the trust domain.
  LogVerifier(wire::LogRow row, const std::string& trust_domain, Options options);
  LogVerifier(wire::LogRow row, const std::string& trust_domain)
      : LogVerifier(std::move(row), trust_domain, Options()) {}

  // The first record of the next segment; nullopt at the end, or after a problem.
  std::optional<record::Position> wanted() const;
  void take(const FetchedSegment& fetched);
  // The wanted segment could not be had.
  void refuse(Error why);
  // After wanted() has said nullopt.
  LogReport finish() &&;

 private:
  Result<void> check_announcement(const std::string& trust_domain);
  Result<record::Checkpoint> check_head(const record::SegmentHead& head) const;
  // Returns the records of a segment with a body, each in its place.
  Result<std::vector<SegmentRecord>> check_records(const FetchedSegment& fetched);
  // Extends the tree to what the checkpoint signs.
  Result<void> extend(const record::Segment& segment, const std::vector<SegmentRecord>& records,
                      const record::Checkpoint& checkpoint);
  // The checkpoint must be the one that the registry's tree has.
  Result<void> check_in_tree(const record::SegmentHead& head, const record::Checkpoint& checkpoint);
  // Records of which only hashes are there: the tree, or the node, must say why.
  Result<void> explain_dropped(const record::SegmentHead& head);
  Result<void> explain_closed(record::Position position, const Hash& leaf);
  void note_record(record::Position position, ByteView bytes);
  void stop(record::Position position, Error why);

  const Options options_;
  LogReport report_;
  PublicKey key_;
  record::Frontier tree_;
  // In the segment at hand: the record that is looked at.
  record::Position suspect_ = 0;
};

}  // namespace notp::cli
