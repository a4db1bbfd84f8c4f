// Answers what an auditor asks of the registry's tree.
#pragma once

#include "notp-server/audit/audit_store.hpp"
#include "notp-server/audit/search_filter.hpp"
#include "notp-server/audit_tree/tree_log.hpp"
#include "protocol/wire/messages/proof.hpp"

namespace notp::audit {

// Thread-safe. Blocks on the disk.
class Proofs {
 public:
  // Both outlive it; `announcement` is the tree's.
  Proofs(const AuditStore& store, const TreeLog& tree, Bytes announcement)
      : store_(store), tree_(tree), announcement_(std::move(announcement)) {}

  // The newest checkpoint, and sealed entries from request.from on. Open to every auditor: entries
  // name logs and positions, and tell no content.
  Result<wire::TreePart> part(const wire::TreeRequest& request) const;
  // kNotFound: there is no such record, it is deleted, or its checkpoint is not sealed yet;
  // kDenied: the reader may not see it; kCorrupt names the file.
  Result<wire::RecordProof> prove(const wire::ProofRequest& request, const MaySee& may_see) const;

 private:
  Result<StoredLog> log_of(const record::LogId& log) const;
  Result<record::Frontier> frontier_before(const record::SegmentHead& head) const;
  std::vector<wire::Cosigner> cosigners_of(std::string_view note) const;

  const AuditStore& store_;
  const TreeLog& tree_;
  const Bytes announcement_;
};

}  // namespace notp::audit
