// What a mirror did last: a file of its folder, which each pass replaces. It is for people and
// metrics, and saves work; a lost one costs one pass.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "common/clock.hpp"
#include "common/json/json.hpp"
#include "tools/notp/mirror/mirror_core.hpp"

namespace notp::cli {

struct MirrorStatus {
  MirrorState state = MirrorState::kUnknown;
  MirrorReason reason = MirrorReason::kNone;
  std::string message;         // for a person; empty when the state is kCurrent
  std::string code;            // of the error of a pass that failed
  TimeMs since_ms = 0;         // of this state and reason
  TimeMs pass_ms = 0;          // the last pass ended
  TimeMs success_ms = 0;       // the last pass ended that did not fail
  MirrorTip tip;               // that was looked at last
  std::string signer;          // of that tip
  TimeMs behind_since_ms = 0;  // upstream has something else than the head since; 0: it has not
  uint64_t head_version = 0;   // 0: no release
  // Since the file was made.
  uint64_t releases = 0, proposals = 0, holds = 0, refusals = 0, failures = 0;
  TimeMs released_ms = 0;
  // What a later pass need not look at again.
  std::optional<MirrorChecked> checked;
  TimeMs checked_ms = 0;

  // Takes over what a pass has come to. A tip is counted once as held and once as refused.
  void enter(MirrorState next, MirrorReason why, std::string text, TimeMs now_ms);
  void fail_with(const Error& error, MirrorReason why, TimeMs now_ms);

  json::object document() const;
};

inline constexpr const char* kMirrorStatusFile = "status.json";
// A file that is missing or cannot be read is an empty status.
MirrorStatus load_mirror_status(const std::filesystem::path& folder);
Result<void> save_mirror_status(const std::filesystem::path& folder, const MirrorStatus& status);

}  // namespace notp::cli
