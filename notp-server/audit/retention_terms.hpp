// How long the records of a release's decisions are kept, as its manifest says.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "notp-server/audit/search_walk.hpp"
#include "protocol/trust/release_ref.hpp"

namespace notp::audit {

// Days are counted from the arrival of a record, by the registry's clock: it has been made before,
// whatever the node's clock says.
struct RetentionTerms {
  uint32_t days_min = 0;
  uint32_t days_max = 0;  // 0: for ever
  bool operator==(const RetentionTerms&) const = default;
};

// Thread-safe; blocks on the disk. A release that is not known has the terms of none: kNotFound.
using FindTerms = std::function<Result<RetentionTerms>(const trust::ReleaseRef& release)>;

// Finds the release that a decision was made with, and its terms. One thread; for one walk.
class TermsOfRecords {
 public:
  struct Found {
    trust::ReleaseRef release;
    RetentionTerms terms;
  };
  TermsOfRecords(const FindTerms& find_terms, ActiveSets& actives)
      : find_terms_(find_terms), actives_(actives) {}

  // Null: no release is known. Valid until the next call for another segment. Errors of FindTerms.
  Result<const Found*> find(SegmentRecords& records, const RecordShape& shape,
                            record::Position active);
  // Another segment follows.
  void next_segment() { known_.clear(); }

 private:
  const FindTerms& find_terms_;
  ActiveSets& actives_;
  std::map<std::pair<std::string_view, record::Position>, std::optional<Found>> known_;
};

}  // namespace notp::audit
