// OPA's GET /v1/policies, read-only: the active policies.
#pragma once

#include "common/http/message.hpp"
#include "notp-client/pdp/pdp.hpp"

namespace notp::api {

// The set that the PDP has confirmed, and the loader of its contents.
struct PolicySource {
  pdp::ActiveSetPtr active;  // null: none yet
  model::BlobLoader load;
};

// All policies except tests, or the one with the id "zone/ledger/path/of/file.rego". {"result":
// {"id", "raw"}} or an array of them; `ast`, which OPA adds, is left out. 404 for an unknown id.
// Denied ledgers have no policies. Blocking.
http::Response policies_response(const PolicySource& source, std::string_view id, bool pretty);

}  // namespace notp::api
