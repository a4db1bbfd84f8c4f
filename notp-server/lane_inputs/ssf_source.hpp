// Makes a stream at a transmitter of the Shared Signals Framework 1.0, and takes what it delivers,
// by poll or push.
#pragma once

#include <memory>

#include "notp-server/lane_inputs/source_factory.hpp"

namespace notp::lane_inputs {

// kConfig: a file cannot be read; delivery push without lanes.listen.
Result<std::unique_ptr<lane::LaneSource>> make_ssf_source(const SourceConfig& config,
                                                          const SourceParts& parts);

}  // namespace notp::lane_inputs
