#include "notp-client/api/api.hpp"

namespace notp::api {

Api::Api(Access access, ApiParts parts, boost::asio::thread_pool& pool)
    : gate_(std::move(access), *parts.health.metrics),
      data_(gate_, parts.decisions, std::move(parts.engine_version)),
      authzen_(gate_, parts.decisions, pool),
      status_(gate_, std::move(parts.status), pool),
      health_(gate_, parts.decisions, std::move(parts.health)) {
  data_.add_to(router_);
  authzen_.add_to(router_);
  status_.add_to(router_);
  health_.add_to(router_, /*for_anyone=*/false);
  health_.add_to(health_router_, /*for_anyone=*/true);
  if (!parts.opa) return;
  opa_.emplace(gate_, *std::move(parts.opa));
  opa_->add_to(router_);
}

}  // namespace notp::api
