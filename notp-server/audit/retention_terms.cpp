#include "notp-server/audit/retention_terms.hpp"

namespace notp::audit {

Result<const TermsOfRecords::Found*> TermsOfRecords::find(SegmentRecords& records,
                                                          const RecordShape& shape,
                                                          record::Position active) {
  if (shape.ledger.empty()) return nullptr;
  const auto [at, is_new] = known_.try_emplace({shape.ledger, active}, std::nullopt);
  if (!is_new) return at->second ? &*at->second : nullptr;
  const auto* const entry = actives_.find(records, active);
  if (entry == nullptr) return nullptr;
  for (const record::ActiveRelease& release : entry->set.releases) {
    if (release.ref.ledger.text() != shape.ledger) continue;
    const auto terms = find_terms_(release.ref);
    if (!terms && terms.error().code == ErrorCode::kNotFound) return nullptr;
    if (!terms) {
      Error error = terms.error();
      known_.erase(at);
      return std::unexpected(std::move(error));
    }
    at->second = {release.ref, *terms};
    return &*at->second;
  }
  return nullptr;
}

}  // namespace notp::audit
