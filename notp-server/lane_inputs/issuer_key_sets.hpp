// The keys of issuers, as this registry has published them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/jose/key_set.hpp"
#include "common/mutex.hpp"
#include "notp-server/registry/registry.hpp"
#include "notp-server/sources/sources_config.hpp"

namespace notp::lane_inputs {

// Thread-safe.
class IssuerKeySets {
 public:
  // `registry` outlives it.
  IssuerKeySets(registry::Registry& registry, const std::vector<sources::IssuerConfig>& issuers);

  // Returns the keys in the head of the issuer's ledger; null: it is not one of `issuers`, or
  // nothing is published of it that can be read. Reads a release when the head has moved.
  std::shared_ptr<const jose::KeySet> keys(std::string_view issuer);

 private:
  struct Issuer {
    model::LedgerId ledger;
    std::string name;
    uint64_t version = 0;  // of the release that `keys` are of; 0: none
    std::shared_ptr<const jose::KeySet> keys;
  };
  std::shared_ptr<const jose::KeySet> read(const Issuer& issuer, uint64_t version) const;

  registry::Registry& registry_;
  Mutex mutex_;
  std::map<std::string, Issuer, std::less<>> issuers_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::lane_inputs
