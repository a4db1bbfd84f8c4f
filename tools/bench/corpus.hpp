// Generates the reference workload as a Git history: a model and nine typical changes, a tag each.
#pragma once

#include <cstdint>
#include <filesystem>

#include "common/result.hpp"

namespace notp::bench {

struct CorpusOptions {
  uint64_t seed = 1;
  // 1: 2,000 policies and 50 documents from 10 KB to 20 MB, 139 MB in all. A lower value reduces
  // the number of policies and the size of the documents.
  double scale = 1;
};

// Writes the history into a new folder. Tags: c0 (the whole model), c1_rule, c2_record, c3_add100,
// c4_keys, c5_rename, c6_refactor50, c7_one_percent, c8_new20, c9_reexport. The same options give
// the same commits. kUsage when the folder exists; kIo; kInternal: git failed.
Result<void> write_corpus(const std::filesystem::path& folder, const CorpusOptions& options);

}  // namespace notp::bench
