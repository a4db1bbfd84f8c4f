// The section `audit` of the registry's configuration.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/config_section.hpp"
#include "common/limits.hpp"
#include "protocol/record/checkpoint.hpp"

namespace notp::audit {

// Another organisation's witness of the registry's tree (C2SP tlog-witness).
struct WitnessAddress {
  std::string url;       // of its API, without a '/' at the end
  record::NamedKey key;  // of its cosignatures
};

struct AuditConfig {
  bool enabled = true;
  std::filesystem::path folder;
  int64_t seal_ms = limits::kTreeSealMs;  // between two checkpoints of the registry's tree
  std::vector<WitnessAddress> witnesses;
  uint32_t retain_days_min = 0;  // what manifests say is only ever lengthened here
  bool recompress = true;        // closed days, when there is nothing else to do
};

// `data_dir` is the registry's: records are kept in a folder of it unless another one is named.
// kConfig: a witness's key is not one of cosignatures.
Result<AuditConfig> load_audit(const config::Section& audit, const std::filesystem::path& data_dir);

}  // namespace notp::audit
