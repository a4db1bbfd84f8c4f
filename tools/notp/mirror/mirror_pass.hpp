// One pass of one mirror: looks at upstream and at the registry, and does what mirror_core.hpp
// says.
#pragma once

#include <optional>
#include <string>

#include "tools/notp/command.hpp"
#include "tools/notp/mirror/mirror_config.hpp"
#include "tools/notp/mirror/mirror_status.hpp"

namespace notp::cli {

struct MirrorResult {
  MirrorStatus status;
  std::optional<Error> error;  // of a pass that failed
  uint64_t published = 0;      // version; 0: this pass published nothing
  uint64_t proposed = 0;       // version that this pass left pending; 0: none

  // kOk; kPending: it waits for a person; kUntrusted: the tip's signatures; kInvalid; that of the
  // error.
  int exit_code() const;
};

// Keeps nothing that a crash could break: the next pass starts from what the registry and upstream
// say. kConflict: another process runs a pass of this mirror; kIo. Failures of the pass itself are
// in the result, and in the status, which is written at its end.
Result<MirrorResult> run_mirror_pass(const Context& context, const MirrorsConfig& config,
                                     const MirrorConfig& mirror);

}  // namespace notp::cli
