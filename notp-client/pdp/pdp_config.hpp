// The section `pdp` of the agent's configuration.
#pragma once

#include "common/config_section.hpp"
#include "notp-client/pdp/embedded_pdp.hpp"
#include "notp-client/pdp/folder_pdp.hpp"
#include "notp-client/pdp/opa_pdp.hpp"

namespace notp::pdp {

enum class PdpKind : uint8_t { kEmbedded, kOpa, kFolder };

// Options of the kinds that are not chosen have their defaults, except the worker's program, which
// checks models for every kind.
struct PdpConfig {
  PdpKind kind = PdpKind::kEmbedded;
  EmbeddedOptions embedded;
  OpaOptions opa;
  OpaTokensLimits opa_tokens;  // of a node with a lane
  FolderOptions folder;
};

// kConfig.
Result<PdpConfig> load_pdp(const config::Section& pdp);

}  // namespace notp::pdp
