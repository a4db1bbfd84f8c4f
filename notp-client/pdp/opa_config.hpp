// The configuration with which an unmodified OPA decides with the agent's model and gives its
// decisions to the agent's log.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace notp::pdp {

// How OPA's decisions reach the agent.
enum class OpaLogs : uint8_t {
  kNone,     // not at all
  kFile,     // OPA writes a file before it answers, and the agent follows it: OPA 1.15 or newer
  kService,  // OPA posts them to /logs after it has answered: OPA 1.12.3 or newer
};

struct OpaConfigOptions {
  std::string agent_url;         // where the agent listens, without a slash at the end
  std::string token_path;        // the file with the secret that OPA presents there
  std::string instance = "opa";  // with several OPAs at one agent each needs its own
  OpaLogs logs = OpaLogs::kNone;
  std::string log_file;     // of kFile: each OPA needs its own; OPA makes its folder
  bool has_tokens = false;  // the node has a token lane: its OPA checks who asks it (authz_module)
};

// YAML for `opa run --server --config-file`. The secret itself is not written. OPA does not persist
// bundles: the agent has them in its store and serves them before it has a network, and OPA's copy
// would be a second, unverified source.
//
// OPA's masks are asked of the module that the agent puts into the bundle (mask_module.hpp), which
// joins the manifests' and the model's.
std::string opa_config(const OpaConfigOptions& options);
std::string opa_config(std::string_view agent_url, std::string_view token_path,
                       std::string_view instance = "opa");

inline constexpr std::string_view kOpaInstanceHeader = "X-Notp-Instance";

// file_logger refuses, and loses without a word, an event that is larger than a file.
inline constexpr int kOpaFileMegabytes = 16;
// Files that OPA keeps after rotation: what the agent may be behind. The maximum age is as long as
// it can be, because OPA deletes older files unread.
inline constexpr int kOpaBackups = 100;
inline constexpr int kOpaBackupDays = 36'500;
// Between two uploads: what of a dead OPA is lost, and how late the log is.
inline constexpr int kOpaUploadSeconds = 1;
// Of a compressed upload: OPA loses a larger event. It unpacks to less than the agent's API takes
// unless it is compressed by more than a factor of 32.
inline constexpr int kOpaUploadBytes = 512 << 10;

}  // namespace notp::pdp
