// How long the records of a release are kept, read from its manifest.
#pragma once

#include <map>

#include "common/mutex.hpp"
#include "notp-server/audit/retention_terms.hpp"
#include "notp-server/registry/registry.hpp"

namespace notp::service {

// Thread-safe. A release never changes: its terms are remembered.
class ReleaseTerms {
 public:
  // `registry` outlives it.
  explicit ReleaseTerms(registry::Registry& registry) : registry_(registry) {}

  // kNotFound: this registry has no such release. kIo: it cannot be read now.
  Result<audit::RetentionTerms> find(const trust::ReleaseRef& release);

 private:
  Result<audit::RetentionTerms> read(const trust::ReleaseRef& release);

  registry::Registry& registry_;
  Mutex mutex_;
  std::map<Hash, audit::RetentionTerms> known_ NOTP_GUARDED_BY(mutex_);  // by release hash
};

}  // namespace notp::service
