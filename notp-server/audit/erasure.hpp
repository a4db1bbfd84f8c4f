// Erases single records on request: those of one person, for instance.
#pragma once

#include <functional>
#include <string>

#include "notp-server/audit/audit_limits.hpp"
#include "notp-server/audit/removals.hpp"
#include "notp-server/audit/retention_terms.hpp"

namespace notp::audit {

struct ErasureOptions {
  std::function<Now()> clock = read_clock;
  TimeMs page_ms = limits::kErasePageMs;
  size_t page_segments_max = limits::kErasePageSegmentsMax;
};

// Thread-safe; blocks on the disk, a page for about page_ms and the time to write the files anew
// that it is about.
class Erasure {
 public:
  // `removals` outlives it.
  Erasure(Removals& removals, FindTerms find_terms, ErasureOptions options)
      : removals_(removals), find_terms_(std::move(find_terms)), options_(std::move(options)) {}

  // One page of an erasure. Only decisions about ledgers that the caller may erase are found at
  // all. `by` is his identity. kUsage, kIo, kCorrupt, kCancelled.
  Result<wire::Erased> erase(const wire::EraseRequest& request, const std::string& by,
                             const MaySee& may_erase);
  Result<wire::HoldsPage> put_hold(const wire::PutHold& order, const std::string& by,
                                   const MaySee& may_erase);
  Result<wire::HoldsPage> holds(const wire::HoldsRequest& request, const MaySee& may_see);

 private:
  Removals& removals_;
  const FindTerms find_terms_;
  const ErasureOptions options_;
};

}  // namespace notp::audit
