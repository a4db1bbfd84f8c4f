// OPA's GET /v1/policies, read-only: what is decided with.
#pragma once

#include "common/http/message.hpp"
#include "notp-client/pdp/pdp.hpp"

namespace notp {

// What the PDP has confirmed, and where its contents are.
struct PolicySource {
  ActiveSetPtr active;  // null: nothing yet
  BlobLoader load;
};

// All policies, tests left out; or the one with the id "zone/ledger/path/of/file.rego". {"result":
// {"id", "raw"}} or an array of them; `ast`, which OPA adds, is left out. 404 for an unknown id.
// Ledgers that must not be decided with have none. Blocking.
http::Response policies_response(const PolicySource& source, std::string_view id, bool pretty);

}  // namespace notp
