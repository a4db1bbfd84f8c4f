// What an auditor may ask a registry, as an interface, so that the commands' logic is tested
// without one; and the questions that several commands ask.
#pragma once

#include <string>
#include <vector>

#include "protocol/record/segment.hpp"
#include "protocol/wire/messages/audit.hpp"

namespace notp::cli {

class RegistryClient;

// Blocking; one thread. Every answer is only what the registry says.
class AuditPort {
 public:
  virtual ~AuditPort() = default;
  virtual Result<wire::DecisionsPage> ask(const wire::DecisionsRequest& request) = 0;
  virtual Result<wire::DecisionCountsPage> ask(const wire::DecisionCountsRequest& request) = 0;
  virtual Result<wire::LogsPage> ask(const wire::LogsRequest& request) = 0;
  virtual Result<wire::SegmentPart> ask(const wire::SegmentRequest& request) = 0;
};

// Asks over a session, which must outlive it.
class RegistryAudit final : public AuditPort {
 public:
  explicit RegistryAudit(RegistryClient& client) : client_(client) {}
  Result<wire::DecisionsPage> ask(const wire::DecisionsRequest& request) override;
  Result<wire::DecisionCountsPage> ask(const wire::DecisionCountsRequest& request) override;
  Result<wire::LogsPage> ask(const wire::LogsRequest& request) override;
  Result<wire::SegmentPart> ask(const wire::SegmentRequest& request) override;

 private:
  RegistryClient& client_;
};

// Every log of the nodes that `node` covers (as in wire::DecisionFilter), ascending by log id.
Result<std::vector<wire::LogRow>> ask_logs(AuditPort& port, const std::string& node);

struct FetchedSegment {
  record::Segment segment;  // of a reduced one, `body` is as record::reduce() makes it
  bool reduced = false;
  bool has_body() const { return !segment.body.empty(); }
};
// The segment that holds the record. kNotFound; kMessage when the parts do not fit together.
Result<FetchedSegment> fetch_segment(AuditPort& port, const record::LogId& log,
                                     record::Position position);

// One record of a segment: bytes, or the hash of one that the caller may not read.
struct SegmentRecord {
  std::optional<Bytes> record;
  Hash leaf;
};
// Decompresses a segment with a body. kMessage, kArtifact, kLimit: damaged, with the reason.
Result<std::vector<SegmentRecord>> records_of(const FetchedSegment& fetched);

}  // namespace notp::cli
