#include "notp-server/lane_inputs/issuer_key_sets.hpp"

#include "notp-server/sources/keys_content.hpp"

namespace notp::lane_inputs {

IssuerKeySets::IssuerKeySets(registry::Registry& registry,
                             const std::vector<sources::IssuerConfig>& issuers)
    : registry_(registry) {
  for (const sources::IssuerConfig& issuer : issuers)
    issuers_.emplace(issuer.terms.urls.issuer,
                     Issuer{.ledger = issuer.ledger, .name = issuer.name, .keys = nullptr});
}

std::shared_ptr<const jose::KeySet> IssuerKeySets::keys(std::string_view issuer) {
  const MutexLock lock(mutex_);
  const auto found = issuers_.find(issuer);
  if (found == issuers_.end()) return nullptr;
  Issuer& known = found->second;
  const auto head = registry_.head(known.ledger);
  if (!head || head->release.version == known.version) return known.keys;
  // What cannot be read is tried again with each event: the last good keys stay.
  if (auto keys = read(known, head->release.version)) {
    known.keys = std::move(keys);
    known.version = head->release.version;
  }
  return known.keys;
}

std::shared_ptr<const jose::KeySet> IssuerKeySets::read(const Issuer& issuer,
                                                        uint64_t version) const {
  const auto snapshot = registry_.snapshot(issuer.ledger, version);
  if (!snapshot) return nullptr;
  const model::ModelContent& content = (*snapshot)->content;
  const model::FileEntry* const entry = content.tree->find(sources::key_set_path(issuer.name));
  if (entry == nullptr) return nullptr;
  const auto document = content.loader()(entry->hash);
  if (!document) return nullptr;
  auto keys = jose::KeySet::parse_text(**document);
  if (!keys) return nullptr;
  return std::make_shared<const jose::KeySet>(*std::move(keys));
}

}  // namespace notp::lane_inputs
