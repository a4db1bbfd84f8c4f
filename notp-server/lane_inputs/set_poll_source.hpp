// Fetches security events from a configured endpoint (RFC 8936).
#pragma once

#include <memory>

#include "notp-server/lane_inputs/source_factory.hpp"

namespace notp::lane_inputs {

Result<std::unique_ptr<lane::LaneSource>> make_set_poll_source(const SourceConfig& config,
                                                               const SourceParts& parts);

}  // namespace notp::lane_inputs
