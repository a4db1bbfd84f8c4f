// Section `decisions` of the agent's configuration (schemas/config/decisions.schema.json).
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "common/config_section.hpp"
#include "notp-client/spool/decision_log.hpp"
#include "notp-client/spool/spool_options.hpp"

namespace notp::spool {

struct RecordingConfig {
  bool records = true;
  std::filesystem::path folder;
  Durability durability = Durability::kBatched;  // where no release demands more
  bool nd_builtin_cache = true;
  bool opa_posts = false;  // else OPA writes opa_log_file
  std::filesystem::path opa_log_file;
  std::map<std::string, std::string> labels;
  SpoolOptions spool;
};

// `data_dir` is the agent's.
RecordingConfig load_recording(const config::Section& decisions,
                               const std::filesystem::path& data_dir);

}  // namespace notp::spool
