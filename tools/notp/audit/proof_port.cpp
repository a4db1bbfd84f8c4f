#include "tools/notp/audit/proof_port.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "protocol/record/tlog_proof.hpp"
#include "protocol/record/tree.hpp"
#include "tools/notp/registry_client.hpp"

namespace notp::cli {
namespace {

struct FetchedRecord {
  ProvenRecord proven;
  wire::RecordProof answer;
};

Result<FetchedRecord> fetch_record(AuditPort& audit, ProofPort& proofs, const record::LogId& log,
                                   record::Position position) {
  FetchedRecord out;
  NOTP_ASSIGN(out.answer, proofs.ask(wire::ProofRequest{log, position}));
  NOTP_ASSIGN(const FetchedSegment fetched, fetch_segment(audit, log, position));
  const record::SegmentHead& head = fetched.segment.head;
  if (!fetched.has_body())
    return fail(ErrorCode::kNotFound,
                fmt::format("record {} of log {} is not there any more, only hashes are: it was "
                            "deleted by rule, or dropped by its node ('notp decisions verify' "
                            "says which)",
                            position, log.hex()));
  if (head.first != out.answer.first || position < head.first || position >= head.end())
    return fail(ErrorCode::kMessage, "the registry's answers are about different segments");
  std::vector<Bytes> salts;
  std::vector<SegmentRecord> records;
  if (fetched.reduced) {
    NOTP_ASSIGN(auto reduced, record::open_reduced(head, fetched.segment.body));
    for (record::ReducedRecord& each : reduced) {
      salts.push_back(std::move(each.salt));
      records.push_back({std::move(each.record), each.leaf});
    }
  } else {
    NOTP_ASSIGN(records, records_of(fetched));
  }
  const size_t index = position - head.first;
  if (records.size() != head.count || !records[index].record)
    return fail(
        ErrorCode::kNotFound,
        fmt::format("record {} of log {} was erased, or you may not read it", position, log.hex()));
  // The salts of a segment that the reader sees whole follow from its secret; of a reduced one they
  // stand beside the records.
  out.proven.salt = fetched.reduced ? salts[index] : record::leaf_salt(head.secret, position);
  NOTP_ASSIGN(const record::Frontier before, record::Frontier::decode(out.answer.before));
  if (before.size() != head.first)
    return fail(ErrorCode::kMessage, "the registry's tree of the log ends elsewhere");
  std::vector<Hash> leaves;
  leaves.reserve(records.size());
  for (const SegmentRecord& each : records) leaves.push_back(each.leaf);
  out.proven.in_log = record::to_text(
      {position, record::inclusion_proof(before, leaves, position), head.checkpoint});
  out.proven.record = *std::move(records[index].record);
  out.proven.entry = std::move(out.answer.entry);
  out.proven.in_tree =
      record::to_text({out.answer.index, out.answer.inclusion, out.answer.checkpoint});
  return out;
}

// The statement of a release; nullopt: it is not there any more.
Result<std::optional<ProvenRelease>> fetch_release(ProofPort& proofs,
                                                   const record::ActiveRelease& active) {
  wire::HistoryRequest request;
  request.ledger = active.ref.ledger;
  request.below_version = active.ref.version + 1;
  request.rows_max = 1;
  auto page = proofs.ask(request);
  if (!page &&
      (page.error().code == ErrorCode::kNotFound || page.error().code == ErrorCode::kDenied))
    return std::nullopt;
  if (!page) return std::unexpected(std::move(page).error());
  if (page->rows.empty() || page->rows.front().version != active.ref.version) return std::nullopt;
  return ProvenRelease{active.ref.ledger.text(), active.ref.version,
                       std::move(page->rows.front().envelope)};
}

Result<std::vector<Bytes>> fetch_roots(ProofPort& proofs) {
  std::vector<Bytes> out;
  while (out.size() < kProofRootsMax) {
    NOTP_ASSIGN(wire::RootsPage page, proofs.ask(wire::RootsRequest{out.size() + 1}));
    std::ranges::move(page.root_chain, std::back_inserter(out));
    if (!page.more || page.root_chain.empty()) break;
  }
  return out;
}

}  // namespace

Result<wire::TreePart> RegistryProofs::ask(const wire::TreeRequest& request) {
  return client_.ask(request);
}
Result<wire::RecordProof> RegistryProofs::ask(const wire::ProofRequest& request) {
  return client_.ask(request);
}
Result<wire::RootsPage> RegistryProofs::ask(const wire::RootsRequest& request) {
  return client_.ask(request);
}
Result<wire::HistoryPage> RegistryProofs::ask(const wire::HistoryRequest& request) {
  return client_.ask(request);
}

Result<DecisionProof> fetch_proof(AuditPort& audit, ProofPort& proofs,
                                  const AuditRecord& decision) {
  DecisionProof out;
  out.id = decision.id();
  NOTP_ASSIGN(FetchedRecord fetched,
              fetch_record(audit, proofs, decision.log, decision.position()));
  out.decision = std::move(fetched.proven);
  out.log_announcement = std::move(fetched.answer.log_announcement);
  out.tree_announcement = std::move(fetched.answer.announcement);
  out.cosigners = std::move(fetched.answer.cosigners);
  if (const record::Position active = decision.record.place.active; active != 0) {
    NOTP_ASSIGN(FetchedRecord set, fetch_record(audit, proofs, decision.log, active));
    out.active = std::move(set.proven);
  }
  if (decision.active) {
    for (const record::ActiveRelease& each : decision.active->releases) {
      NOTP_ASSIGN(auto release, fetch_release(proofs, each));
      if (release) out.releases.push_back(*std::move(release));
    }
  }
  NOTP_ASSIGN(out.roots, fetch_roots(proofs));
  return out;
}

}  // namespace notp::cli
