// What an engine decides with, made from what a record says was active.
#pragma once

#include <optional>

#include "common/rego/snapshot.hpp"
#include "tools/notp/audit/replay_releases.hpp"

namespace notp::cli {

// A model in the place of a ledger's release.
struct CandidateModel {
  model::LedgerId ledger;
  std::vector<std::string> data_roots;
  model::ModelContent content;
};

// The content of the recorded releases as a node loads it, with the data.system.notp of the record.
// Releases that the node did not decide with, because they had expired or were withheld, are
// withheld. `candidate`: nullptr for none. Every built-in is allowed: a node has loaded what asks
// for it. kNotFound as in RecordedReleases; kMessage: the record does not say what was active.
Result<rego::SnapshotPtr> recorded_snapshot(const record::ActiveSet& active,
                                            RecordedReleases& releases,
                                            const CandidateModel* candidate = nullptr);

}  // namespace notp::cli
