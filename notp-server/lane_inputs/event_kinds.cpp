// The kinds of sources that send events: by requests to this registry, or in answers to its own.
#include "notp-server/lane_inputs/source_factory.hpp"

namespace notp::lane_inputs {

std::span<const SourceKind> event_kinds() { return {}; }

}  // namespace notp::lane_inputs
