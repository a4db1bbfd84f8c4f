// The kinds of sources that are asked, or listened to at their broker.
#include <array>

#include "notp-server/lane_inputs/source_factory.hpp"
#include "notp-server/lane_inputs/status_list_source.hpp"
#include "notp-server/lane_inputs/stream_source.hpp"

namespace notp::lane_inputs {

std::span<const SourceKind> pull_kinds() {
  static const std::array kKinds = {status_list_kind(), websocket_kind(), redis_kind(),
                                    postgresql_kind()};
  return kKinds;
}

}  // namespace notp::lane_inputs
