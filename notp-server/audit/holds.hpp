// Holds: what they cover is neither deleted by rule nor erased.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "notp-server/audit/holds_table.hpp"
#include "notp-server/audit/search_walk.hpp"
#include "notp-server/audit/tree_sink.hpp"

namespace notp::audit {

// The index of a hold that is in force and has no leaf yet.
inline constexpr uint64_t kUnstated = INT64_MAX;

// The filters of holds in force, prepared. One thread.
class HoldFilters {
 public:
  // kUsage: a filter that can match nothing.
  static Result<HoldFilters> prepare(const std::vector<wire::Hold>& holds);
  bool empty() const { return filters_.empty(); }
  // Whether the filters of segments are read.
  bool needs_filters() const;
  // For each record of a segment, whether a hold covers it. kCorrupt, kIo.
  Result<std::vector<bool>> covered(SegmentRecords& records, const SegmentIndex& index,
                                    ActiveSets& actives);

 private:
  struct Prepared {
    wire::DecisionFilter filter;
    MaySee may_see;
    std::optional<SearchFilter> search;
  };
  std::vector<std::unique_ptr<Prepared>> filters_;
};

// A filter in words, as on a command line. Of values and texts, which may name a person, only
// hashes: it goes into the registry's tree, where nothing is ever erased.
std::string filter_words(const wire::DecisionFilter& filter);

// One thread at a time (Removals::Turn). Blocking.
class Holds {
 public:
  // Both outlive it.
  Holds(const LogTable& logs, TreeSink& tree) : table_(logs), tree_(tree) {}

  // States the holds that a crash left without a leaf.
  Result<void> finish_begun(TimeMs now_ms);
  // Those in force.
  Result<std::vector<wire::Hold>> in_force() const;
  // One page: those whose ledger the caller may see; one without a ledger is for those who may see
  // all.
  Result<wire::HoldsPage> list(const wire::HoldsRequest& request, const MaySee& may_see) const;
  // Places, changes or lifts one. In force before it is stated, and stated before it is lifted.
  // kDenied: a ledger that it covers is not the caller's; kLimit: too many; kNotFound; kUsage; kIo.
  Result<wire::HoldsPage> put(const wire::PutHold& order, const std::string& by,
                              const MaySee& may_erase, TimeMs now_ms);

 private:
  Result<wire::Hold> place(const wire::PutHold& order, const wire::Hold* known,
                           const std::string& by, TimeMs now_ms);
  Result<wire::Hold> lift(const wire::PutHold& order, const wire::Hold& known,
                          const std::string& by, TimeMs now_ms);
  Result<uint64_t> state(const wire::Hold& hold, bool on, const std::string& why, TimeMs now_ms);

  HoldsTable table_;
  TreeSink& tree_;
};

}  // namespace notp::audit
