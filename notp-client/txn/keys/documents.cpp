#include "notp-client/txn/keys/documents.hpp"

#include <fmt/format.h>

namespace notp::txn {

json::object jwks_document(const std::vector<jose::PublicJwk>& keys) {
  json::array list;
  for (const jose::PublicJwk& key : keys) list.push_back(key.canonical());
  return {{"keys", std::move(list)}};
}

// response_types_supported is required; token exchange has none.
json::object metadata_document(std::string_view issuer, bool takes_assertions) {
  json::object out{
      {"issuer", issuer},
      {"token_endpoint", fmt::format("{}/token", issuer)},
      {"jwks_uri", fmt::format("{}/jwks", issuer)},
      {"response_types_supported", json::array{}},
      {"grant_types_supported", json::array{"urn:ietf:params:oauth:grant-type:token-exchange"}},
      {"token_endpoint_auth_methods_supported", json::array{"tls_client_auth"}}};
  if (!takes_assertions) return out;
  out["token_endpoint_auth_methods_supported"].as_array().emplace_back("private_key_jwt");
  json::array algorithms;
  for (const jose::Algorithm algorithm : jose::all_algorithms())
    algorithms.emplace_back(jose::algorithm_name(algorithm));
  out["token_endpoint_auth_signing_alg_values_supported"] = std::move(algorithms);
  return out;
}

}  // namespace notp::txn
