// The suite "wire": the cost of each release of a history on the wire, both ways, compared with git
// and a bundle of the whole model.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tools/bench/codec_times.hpp"
#include "tools/bench/counting_proxy.hpp"
#include "tools/bench/notp_arm.hpp"

namespace notp::bench {

struct WireChange {
  std::string tag;
  uint64_t version = 0;
  uint64_t artifact_bytes = 0;
  Traffic push, git, git_bitmap, bundle;
  std::optional<Traffic> pull;
  std::optional<CutPull> cut;  // if the artifact is large enough to be cut
  CodecTimes codec;

  uint64_t best_git_bytes() const { return std::min(git.bytes(), git_bitmap.bytes()); }
  double ratio_to_git() const {
    return static_cast<double>(push.bytes()) / static_cast<double>(best_git_bytes());
  }
};

// Sessions of the last release that do not start from the release before it.
struct WireStarts {
  SessionCost unknown_base;  // the node has another registry's release with the previous content
  std::optional<SessionCost> repair;  // the node has the release, with one damaged policy
};

struct WireOptions {
  std::filesystem::path repository;
  std::filesystem::path programs;  // folder of notp, notp-server and notp-client
  bool with_pull = true;           // also measure a new session for each release, and other starts
  std::function<void(const WireChange&)> measured;  // called after each
};

struct WireResult {
  std::vector<WireChange> changes;            // the first is the whole model: a cold start
  uint64_t model_bytes = 0, model_files = 0;  // of the first release
  OpeningBytes opening;
  std::optional<WireStarts> starts;  // with three releases or more
  // Geometric mean over all changes but the first: pushed bytes over those of the better git arm.
  double geomean_vs_git() const;
};

// Starts processes that listen on loopback and ends them; removes its temporary folder. Errors of
// the arms, with the tag.
Result<WireResult> run_wire(const WireOptions& options);

}  // namespace notp::bench
