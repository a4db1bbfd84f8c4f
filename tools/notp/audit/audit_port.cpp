#include "tools/notp/audit/audit_port.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "protocol/wire/log_limits.hpp"
#include "tools/notp/registry_client.hpp"

namespace notp::cli {
namespace {

std::unexpected<Error> unfitting(const record::LogId& log, record::Position position,
                                 std::string_view what) {
  return fail(ErrorCode::kMessage, fmt::format("the registry's answer about record {} of log {} {}",
                                               position, log.hex(), what));
}

}  // namespace

Result<wire::DecisionsPage> RegistryAudit::ask(const wire::DecisionsRequest& request) {
  return client_.ask(request);
}
Result<wire::DecisionCountsPage> RegistryAudit::ask(const wire::DecisionCountsRequest& request) {
  return client_.ask(request);
}
Result<wire::LogsPage> RegistryAudit::ask(const wire::LogsRequest& request) {
  return client_.ask(request);
}
Result<wire::SegmentPart> RegistryAudit::ask(const wire::SegmentRequest& request) {
  return client_.ask(request);
}

Result<std::vector<wire::LogRow>> ask_logs(AuditPort& port, const std::string& node) {
  std::vector<wire::LogRow> rows;
  while (true) {
    wire::LogsRequest request;
    request.node = node;
    if (!rows.empty()) request.after = rows.back().log;
    NOTP_ASSIGN(wire::LogsPage page, port.ask(request));
    const bool forward =
        !page.rows.empty() && (!request.after || page.rows.front().log > *request.after);
    if (!forward) break;
    std::ranges::move(page.rows, std::back_inserter(rows));
    if (!page.more) break;
  }
  return rows;
}

Result<FetchedSegment> fetch_segment(AuditPort& port, const record::LogId& log,
                                     record::Position position) {
  FetchedSegment out;
  uint64_t total = 0;
  do {
    NOTP_ASSIGN(wire::SegmentPart part, port.ask({log, position, out.segment.body.size()}));
    if (out.segment.body.empty()) {
      if (part.total > limits::kSegmentAnswerBytesMax)
        return unfitting(log, position,
                         fmt::format("announces {} bytes; a segment has at most {}", part.total,
                                     limits::kSegmentAnswerBytesMax));
      out.segment.head = std::move(part.head);
      out.segment.subtrees = std::move(part.subtrees);
      out.reduced = part.reduced;
      total = part.total;
    } else if (part.head != out.segment.head || part.total != total ||
               part.reduced != out.reduced) {
      return unfitting(log, position, "changed while it was read: try again");
    }
    if (total > 0 && part.content.empty())
      return unfitting(log, position,
                       fmt::format("ends after {} of {} bytes", out.segment.body.size(), total));
    out.segment.body += part.content;
  } while (out.segment.body.size() < total);
  if (out.segment.body.size() > total) return unfitting(log, position, "is longer than it says");
  return out;
}

Result<std::vector<SegmentRecord>> records_of(const FetchedSegment& fetched) {
  const record::SegmentHead& head = fetched.segment.head;
  std::vector<SegmentRecord> out;
  if (fetched.reduced) {
    NOTP_ASSIGN(std::vector<record::ReducedRecord> records,
                record::open_reduced(head, fetched.segment.body));
    out.reserve(records.size());
    for (record::ReducedRecord& each : records) out.push_back({std::move(each.record), each.leaf});
    return out;
  }
  NOTP_ASSIGN(const record::OpenedSegment opened,
              record::OpenedSegment::open(head, fetched.segment.body));
  const std::vector<Hash> leaves = record::leaf_hashes(head, opened);
  out.reserve(leaves.size());
  for (size_t i = 0; i < leaves.size(); ++i) out.push_back({Bytes(opened.records()[i]), leaves[i]});
  return out;
}

}  // namespace notp::cli
