// Receives pushed security event tokens (RFC 8935).
#pragma once

#include <memory>
#include <string>

#include "notp-server/lane_inputs/event_config.hpp"
#include "notp-server/lane_inputs/push_routes.hpp"
#include "notp-server/lane_inputs/set_taker.hpp"
#include "notp-server/lane_inputs/source_factory.hpp"

namespace notp::lane_inputs {

// Receives for a taker, which it shares.
std::shared_ptr<PushReceiver> make_set_receiver(const SenderTerms& terms,
                                                std::shared_ptr<SetTaker> taker,
                                                std::shared_ptr<SourceStats> stats);

Result<std::unique_ptr<lane::LaneSource>> make_set_push_source(const SourceConfig& config,
                                                               const SourceParts& parts);

}  // namespace notp::lane_inputs
