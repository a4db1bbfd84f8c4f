// The documents by which others find the service's keys.
#pragma once

#include <string_view>
#include <vector>

#include "common/jose/jwk.hpp"
#include "common/json/json.hpp"

namespace notp::txn {

// RFC 7517 §5: {"keys": […]}, in the order given.
json::object jwks_document(const std::vector<jose::PublicJwk>& keys);

// RFC 8414 §2. `issuer`: a base URL without a slash at its end. `takes_assertions`: clients may
// authenticate by private_key_jwt, too.
json::object metadata_document(std::string_view issuer, bool takes_assertions = false);

}  // namespace notp::txn
