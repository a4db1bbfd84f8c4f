// The kinds of sources that are asked, or listened to at their broker.
#include "notp-server/lane_inputs/source_factory.hpp"

namespace notp::lane_inputs {

std::span<const SourceKind> pull_kinds() { return {}; }

}  // namespace notp::lane_inputs
