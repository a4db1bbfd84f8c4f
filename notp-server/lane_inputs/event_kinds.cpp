// The kinds of sources that send events: by requests to this registry, or in answers to its own.
#include <array>

#include "notp-server/lane_inputs/event_config.hpp"
#include "notp-server/lane_inputs/http_source.hpp"
#include "notp-server/lane_inputs/set_poll_source.hpp"
#include "notp-server/lane_inputs/set_push_source.hpp"
#include "notp-server/lane_inputs/source_factory.hpp"
#include "notp-server/lane_inputs/ssf_source.hpp"

namespace notp::lane_inputs {

std::span<const SourceKind> event_kinds() {
  static constexpr std::array kKinds = {
      SourceKind{"http", load_http, make_http_source},
      SourceKind{"set_push", load_set_push, make_set_push_source},
      SourceKind{"set_poll", load_set_poll, make_set_poll_source},
      SourceKind{"ssf", load_ssf, make_ssf_source},
  };
  return kKinds;
}

}  // namespace notp::lane_inputs
