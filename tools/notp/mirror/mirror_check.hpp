// `notp mirror check`: tries what a mirror needs, and publishes nothing.
#pragma once

#include <string>
#include <vector>

#include "tools/notp/command.hpp"
#include "tools/notp/mirror/mirror_config.hpp"

namespace notp::cli {

struct MirrorCheckRow {
  std::string mirror;  // empty: of all
  std::string what;    // as in "upstream"
  std::string message;
  std::optional<ErrorCode> code;  // nullopt: it works
};

// Keys, the root, the registry, upstream and its tip's signatures. Works in folders that are
// removed again.
std::vector<MirrorCheckRow> check_mirrors(const Context& context, MirrorsConfig config);

}  // namespace notp::cli
