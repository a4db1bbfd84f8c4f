// The kinds of sources that send events: by requests to this registry, or in answers to its own.
#include <array>

#include "notp-server/lane_inputs/event_config.hpp"
#include "notp-server/lane_inputs/http_source.hpp"
#include "notp-server/lane_inputs/set_push_source.hpp"
#include "notp-server/lane_inputs/source_factory.hpp"

namespace notp::lane_inputs {

std::span<const SourceKind> event_kinds() {
  static constexpr std::array kKinds = {
      SourceKind{"http", load_http, make_http_source},
      SourceKind{"set_push", load_set_push, make_set_push_source},
  };
  return kKinds;
}

}  // namespace notp::lane_inputs
