#include "notp-server/service/service_config.hpp"

namespace notp::service {

ServiceOptions load_service(const config::Section& root) {
  ServiceOptions out{
      .serve = {.listen = root.text("listen"),
                .threads = root.size("threads"),
                .limits = {.sessions_max = root.size("limits.sessions"),
                           .sessions_per_identity_max = root.size("limits.sessions_per_identity")}},
      .workers = root.size("workers"),
      .validations_at_once = root.size("validation.at_once")};
  out.builtins = model::BuiltinGrants(root.elements("validation.allow"));
  return out;
}

}  // namespace notp::service
