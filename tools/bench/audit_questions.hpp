// Questions to an audit store, asked by the code of `notp decisions`, without a session.
#pragma once

#include "notp-server/audit/audit_store.hpp"
#include "notp-server/audit/search.hpp"
#include "tools/bench/audit_suite.hpp"
#include "tools/bench/recorded_fleet.hpp"
#include "tools/notp/audit/audit_port.hpp"

namespace notp::bench {

inline constexpr size_t kShowIds = 200;
inline constexpr size_t kQuestionRounds = 3;
inline constexpr uint32_t kNewestRows = 50;

// A reader who may see everything, in the registry's process.
class LocalAudit final : public cli::AuditPort {
 public:
  // `store` outlives it.
  explicit LocalAudit(const audit::AuditStore& store) : search_(store, {}) {}
  Result<wire::DecisionsPage> ask(const wire::DecisionsRequest& request) override;
  Result<wire::DecisionCountsPage> ask(const wire::DecisionCountsRequest& request) override;
  Result<wire::LogsPage> ask(const wire::LogsRequest& request) override;
  Result<wire::SegmentPart> ask(const wire::SegmentRequest& request) override;

 private:
  const audit::AuditSearch search_;
};

// Each question kQuestionRounds times, `show` once for each of kShowIds. kInternal: an answer has
// not what the fleet was given.
Result<AnswersByQuestion> measure_questions(
    cli::AuditPort& port, const RecordedFleet& fleet,
    const std::function<void(const std::string&)>& progress);
// As `notp decisions verify`. kInternal: a log is not whole.
Result<VerifyFigures> measure_verify(cli::AuditPort& port, const RecordedFleet& fleet);
// Exports all decisions as OPA's events, one a line, compressed. kIo.
Result<uint64_t> export_events(cli::AuditPort& port, const std::filesystem::path& file);

}  // namespace notp::bench
