// The suite "cold": an empty node gets the whole model and makes it durable, compared with a bare
// clone by git.
#pragma once

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>

#include "tools/bench/counting_proxy.hpp"
#include "tools/bench/report.hpp"
#include "tools/bench/samples.hpp"

namespace notp::bench {

struct ColdOptions {
  std::filesystem::path repository;  // its first tag is the model
  std::filesystem::path programs;
  size_t runs = 0;
  std::function<void(const std::string&)> progress;
};
inline constexpr size_t kColdRunsMax = 50;

struct ColdGit {
  uint64_t bytes = 0;
  double round_trips = 0;
  Samples cloned, durable;  // until git has ended; until all files are synchronised
};

struct ColdResult {
  uint64_t model_bytes = 0, model_files = 0, version = 0;
  // From the start of the agent's process until its store has the release durably, and until its
  // PDP decides with it.
  Samples stored, active;
  uint64_t notp_bytes = 0, notp_up_bytes = 0;
  double round_trips = 0;
  ColdGit git, git_bitmap;
  Samples disk;  // writes as many bytes as the model has into one file, and fdatasync

  const ColdGit& fastest_git() const {
    return git.durable.p50() <= git_bitmap.durable.p50() ? git : git_bitmap;
  }
  uint64_t best_git_bytes() const { return std::min(git.bytes, git_bitmap.bytes); }
};

Result<ColdResult> run_cold(const ColdOptions& options);
std::string cold_table(const ColdResult& result);
json::object cold_json(const ColdResult& result, const CorpusLabels& labels);

}  // namespace notp::bench
