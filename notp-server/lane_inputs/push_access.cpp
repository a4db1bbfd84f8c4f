#include "notp-server/lane_inputs/push_access.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <span>

#include "common/storage/private_files.hpp"
#include "notp-server/lane_inputs/lane_input_limits.hpp"

namespace notp::lane_inputs {
namespace {

bool is_equal(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// Of another form than the built-in one the name is the URI: see session::Identity.
Result<session::Identity> identity_of(const std::string& uri) {
  NOTP_ASSIGN(const model::SpiffeId id, model::SpiffeId::parse(uri));
  if (session::Identity::is_built_in(id)) return session::Identity::parse(uri);
  return session::Identity{id.trust_domain, session::Role::kSource, uri};
}

Result<void> denied(std::string why) { return fail(ErrorCode::kDenied, std::move(why)); }

// RFC 9068 has client_id; Keycloak's own tokens have azp.
std::string_view client_of(const jose::Token& token) {
  const std::string_view client = claim_text(token, "client_id");
  return client.empty() ? claim_text(token, "azp") : client;
}

}  // namespace

bool is_covered(const http::Request& request, const SenderIdentities& identities) {
  const auto& shown = request.peer.certificate;
  if (!shown || !shown->good() || shown->uris.size() != 1) return false;
  const auto identity = identity_of(shown->uris.front());
  return identity && identity->trust_domain == identities.trust_domain &&
         std::ranges::any_of(identities.patterns, [&](const session::IdentityPattern& pattern) {
           return pattern.covers(*identity);
         });
}

Result<std::string> read_authorization(const std::filesystem::path& file) {
  NOTP_ASSIGN(Bytes out, read_private_file(file, kAuthorizationBytesMax));
  while (out.ends_with('\n') || out.ends_with('\r')) out.pop_back();
  if (out.empty()) return fail(ErrorCode::kConfig, fmt::format("{} is empty", file.string()));
  return out;
}

Result<void> check_sender(const http::Request& request, const SenderTerms& terms) {
  if (!terms.identities.patterns.empty() && !is_covered(request, terms.identities))
    return denied("the client certificate is not one of the source's identities");
  if (terms.authorization_file.empty()) return {};
  NOTP_ASSIGN(std::string wanted, read_authorization(terms.authorization_file));
  const bool is_good = is_equal(request.header("Authorization"), wanted);
  OPENSSL_cleanse(wanted.data(), wanted.size());
  if (is_good) return {};
  return denied("Authorization is not what the source expects");
}

bool names_client_of(const jose::Token& token, const BearerTerms& terms) {
  return claim_text(token, "iss") == terms.issuer &&
         has_audience(token, std::span(&terms.audience, 1)) &&
         std::ranges::find(terms.clients, client_of(token)) != terms.clients.end();
}

Result<void> check_bearer(const jose::Token& token, const BearerTerms& terms,
                          const IssuerKeys& issuer_keys, TimeMs now_ms) {
  const auto keys = issuer_keys(terms.issuer);
  if (keys == nullptr)
    return fail(ErrorCode::kUnavailable, fmt::format("there are no keys of {} yet", terms.issuer));
  const auto all = jose::all_algorithms();
  const bool is_at = lower_case(token.typ).ends_with("at+jwt");
  const jose::TokenRules rules{.algorithms = {all.begin(), all.end()},
                               .typ = is_at ? "at+jwt" : "",
                               .issuer = terms.issuer,
                               .audience = terms.audience,
                               .now_ms = now_ms};
  if (auto checked = jose::check_token(token, *keys, rules); !checked)
    return denied(std::move(checked).error().message);
  if (token.claims.contains("cnf"))
    return denied("the access token is bound to a key, which this listener does not check");
  const std::string_view client = client_of(token);
  if (std::ranges::find(terms.clients, client) != terms.clients.end()) return {};
  return denied(fmt::format("the client \"{}\" may not send; bearer.clients has those that may",
                            printable(client)));
}

}  // namespace notp::lane_inputs
