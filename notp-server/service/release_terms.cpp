#include "notp-server/service/release_terms.hpp"

#include <fmt/format.h>

#include "notp-server/audit/audit_limits.hpp"
#include "protocol/model/manifest.hpp"

namespace notp::service {
namespace {

std::unexpected<Error> unreadable(const trust::ReleaseRef& release, const Error& why) {
  return fail(ErrorCode::kIo,
              fmt::format("the manifest of {} v{} says how long its records are kept, and cannot "
                          "be read: {}",
                          release.ledger.text(), release.version, why.message));
}

}  // namespace

Result<audit::RetentionTerms> ReleaseTerms::find(const trust::ReleaseRef& release) {
  {
    const MutexLock lock(mutex_);
    const auto at = known_.find(release.release_hash);
    if (at != known_.end()) return at->second;
  }
  NOTP_ASSIGN(const audit::RetentionTerms terms, read(release));
  const MutexLock lock(mutex_);
  if (known_.size() >= limits::kTermsCachedMax) known_.clear();
  known_[release.release_hash] = terms;
  return terms;
}

// What a node says of itself is not proven: its words count where a release of that hash is known.
Result<audit::RetentionTerms> ReleaseTerms::read(const trust::ReleaseRef& release) {
  const auto info = registry_.info(release.ledger, release.version);
  if (!info && info.error().code != ErrorCode::kNotFound) return unreadable(release, info.error());
  if (!info || (*info)->ref.release_hash != release.release_hash)
    return fail(ErrorCode::kNotFound, fmt::format("{} v{} is not the release of a decision",
                                                  release.ledger.text(), release.version));
  const auto snapshot = registry_.snapshot(release.ledger, release.version);
  if (!snapshot) return unreadable(release, snapshot.error());
  const model::ModelContent& content = (*snapshot)->content;
  const model::FileEntry* const entry = content.tree->find(model::kManifestPath);
  if (entry == nullptr) return audit::RetentionTerms{};
  const auto text = content.loader()(entry->hash);
  if (!text) return unreadable(release, text.error());
  const auto manifest = model::Manifest::parse(**text);
  if (!manifest) return unreadable(release, manifest.error());
  return audit::RetentionTerms{.days_min = manifest->decisions.retain_days_min,
                               .days_max = manifest->decisions.retain_days_max};
}

}  // namespace notp::service
