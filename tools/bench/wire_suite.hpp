// The suite "wire": what each release of a history costs on the wire, both ways, beside git and a
// bundle of the whole.
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
  std::optional<CutPull> cut;  // where there is enough to be cut
  CodecTimes codec;

  uint64_t best_git_bytes() const { return std::min(git.bytes(), git_bitmap.bytes()); }
  double ratio_to_git() const {
    return static_cast<double>(push.bytes()) / static_cast<double>(best_git_bytes());
  }
};

// Sessions that start with something else than the release before, about the last release.
struct WireStarts {
  SessionCost unknown_base;  // the node has another registry's release with the content before
  std::optional<SessionCost> repair;  // the node has it, with one damaged policy
};

struct WireOptions {
  std::filesystem::path repository;
  std::filesystem::path programs;  // folder of notp, notp-server and notp-client
  bool with_pull = true;  // also measure a fresh session for each release, and other starts
  std::function<void(const WireChange&)> measured;  // called after each
};

struct WireResult {
  std::vector<WireChange> changes;            // the first is the whole model: a cold start
  uint64_t model_bytes = 0, model_files = 0;  // of the first
  OpeningBytes opening;
  std::optional<WireStarts> starts;  // with three releases or more
  // Over all changes but the first; of pushed bytes over those of the better git arm.
  double geomean_vs_git() const;
};

// Processes it starts listen on loopback and are ended; its folder under the system's one for
// temporary files is removed. Errors of the arms, with the tag.
Result<WireResult> run_wire(const WireOptions& options);

}  // namespace notp::bench
