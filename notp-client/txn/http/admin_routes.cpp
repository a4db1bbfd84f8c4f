#include "notp-client/txn/http/admin_routes.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/log.hpp"
#include "notp-client/txn/http/token_endpoint.hpp"
#include "notp-client/txn/issue/members.hpp"
#include "notp-client/txn/txn_limits.hpp"

namespace notp::txn {
namespace {

constexpr unsigned kBadRequest = 400, kForbidden = 403, kNotFound = 404, kUnavailable = 503;

http::Response json_response(const json::object& body) {
  http::Response response;
  response.body = json::serialize(body);
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

http::Response failed(const Error& error) {
  const bool is_missing = error.code == ErrorCode::kNotFound;
  return http::error_response(is_missing ? kNotFound : kUnavailable, error_traits(error.code).name,
                              error.message);
}

json::object describe(const Grant& grant) {
  json::object out{{"id", grant.id},
                   {"parent_txn", grant.parent_txn()},
                   {"root_txn", grant.root_txn()},
                   {"txns", json_texts(grant.txns)},
                   {"sub", grant.sub},
                   {"scope", json_texts(grant.scopes)},
                   {"to", grant.to},
                   {"origin", grant.origin},
                   {"chain", json_texts(grant.chain)},
                   {"made_ms", grant.made_ms},
                   {"not_after_ms", grant.not_after_ms},
                   {"uses", grant.uses},
                   {"used", grant.used}};
  if (grant.digest) out["digest"] = grant.digest->hex();
  return out;
}

// What a body of revoke_grants() says: a grant or a transaction, and maybe a page.
std::optional<GrantRevocation> revocation_of(std::string_view body) {
  const auto document = parse_json(body);
  const json::object* const object = document ? document->if_object() : nullptr;
  if (!object) return std::nullopt;
  GrantRevocation out;
  for (const auto& [name, value] : *object) {
    if (!value.is_string() || value.get_string().empty()) return std::nullopt;
    std::string* const member = name == "grant"  ? &out.grant
                                : name == "txn"  ? &out.txn
                                : name == "from" ? &out.from
                                                 : nullptr;
    if (member == nullptr) return std::nullopt;
    *member = value.get_string();
  }
  return out.grant.empty() != out.txn.empty() ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace

AdminRoutes::AdminRoutes(const ServiceConfig& config, CurrentFacts& facts, GrantsHost& grants,
                         KeyAdmin keys, std::string lane, TxnMetrics& metrics)
    : trust_domain_(config.trust_domain),
      issuer_(config.issuer),
      lane_(std::move(lane)),
      admins_(config.admins),
      facts_(facts),
      grants_(grants),
      keys_(std::move(keys)),
      metrics_(metrics) {}

void AdminRoutes::add_to(http::Router& router) {
  router.add("GET", "/admin/keys", [this](const http::Request& r) { return list_keys(r); });
  router.add("POST", "/admin/keys/*", [this](const http::Request& r) { return revoke_key(r); });
  router.add("GET", "/admin/grants", [this](const http::Request& r) { return list_grants(r); });
  router.add("POST", "/admin/grants/revoke",
             [this](const http::Request& r) { return revoke_grants(r); });
}

boost::asio::awaitable<AdminRoutes::Admin> AdminRoutes::admit(const http::Request& request) {
  Admin out;
  auto identity = workload_of(request.peer, trust_domain_, read_clock().wall_ms);
  if (!identity) {
    out.refusal = http::error_response(identity.error().status(), identity.error().reason(),
                                       identity.error().description);
    co_return out;
  }
  out.identity = *std::move(identity);
  const ReleaseFactsPtr facts = co_await facts_.get();
  const bool is_admin =
      std::ranges::any_of(admins_, [&](const auto& each) { return each.covers(out.identity); });
  if (!is_admin || facts->denied.identities.contains(out.identity) ||
      !facts->denied_fault.empty()) {
    log::warn("txn_admin_refused", {{"identity", out.identity}, {"path", printable(request.path)}});
    out.refusal = http::error_response(
        kForbidden, "identity_denied",
        fmt::format("{} is not one of txn.service.admins, or is denied", out.identity));
  }
  co_return out;
}

AdminRoutes::Answer AdminRoutes::list_keys(const http::Request& request) {
  const Admin admin = co_await admit(request);
  if (admin.refusal) co_return *admin.refusal;
  co_return json_response({{"keys", keys_.list()}});
}

AdminRoutes::Answer AdminRoutes::revoke_key(const http::Request& request) {
  const Admin admin = co_await admit(request);
  if (admin.refusal) co_return *admin.refusal;
  const auto segments = request.segments_below("/admin/keys");
  if (segments.size() != 2 || segments[1] != "revoke")
    co_return http::error_response(kNotFound, "not_found", "ask /admin/keys/<kid>/revoke");
  if (const auto revoked = keys_.revoke(segments[0]); !revoked) co_return failed(revoked.error());
  log::info("txn_key_revoked", {{"kid", printable(segments[0])}, {"identity", admin.identity}});
  co_return json_response({{"revoked", segments[0]}});
}

AdminRoutes::Answer AdminRoutes::list_grants(const http::Request& request) {
  const Admin admin = co_await admit(request);
  if (admin.refusal) co_return *admin.refusal;
  GrantFilter filter{.client = request.parameter("client").value_or(""),
                     .txn = request.parameter("txn").value_or("")};
  const auto page =
      co_await grants_.list(std::move(filter), request.parameter("from").value_or(""));
  if (!page) co_return failed(page.error());
  json::array grants;
  for (const Grant& grant : page->grants) grants.push_back(describe(grant));
  co_return json_response({{"grants", std::move(grants)}, {"next", page->next}});
}

AdminRoutes::Answer AdminRoutes::revoke_grants(const http::Request& request) {
  const Admin admin = co_await admit(request);
  if (admin.refusal) co_return *admin.refusal;
  const auto what = revocation_of(request.body);
  if (!what)
    co_return http::error_response(
        kBadRequest, "invalid_request",
        R"(the body has to be {"grant": "<id>"} or {"txn": "<id>"}, with "from" for a further page)");
  const auto revoked = co_await grants_.revoke(*what);
  if (!revoked) co_return failed(revoked.error());
  metrics_.grant(GrantEvent::kRevoked, revoked->grants);
  log::info("txn_grants_revoked", {{"grant", printable(what->grant)},
                                   {"txn", printable(what->txn)},
                                   {"grants", revoked->grants},
                                   {"identity", admin.identity}});
  co_return json_response({{"grants", revoked->grants},
                           {"txns", json_texts(revoked->txns)},
                           {"next", revoked->next},
                           {"issuer", issuer_},
                           {"lane", lane_}});
}

}  // namespace notp::txn
