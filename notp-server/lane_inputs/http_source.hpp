// A source that sends events in the own form.
#pragma once

#include <memory>

#include "notp-server/lane_inputs/source_factory.hpp"

namespace notp::lane_inputs {

Result<std::unique_ptr<lane::LaneSource>> make_http_source(const SourceConfig& config,
                                                           const SourceParts& parts);

}  // namespace notp::lane_inputs
