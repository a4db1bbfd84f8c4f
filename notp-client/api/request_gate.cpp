#include "notp-client/api/request_gate.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"
#include "common/log.hpp"

namespace notp::api {
namespace {

constexpr unsigned kUnauthorized = 401, kTooManyRequests = 429;

// The peer, as far as its identity is proven.
std::string peer_text(const http::Peer& peer) {
  if (peer.certificate && peer.certificate->good() && !peer.certificate->uris.empty())
    return printable(peer.certificate->uris.front(), limits::kIdentityBytesMax);
  if (peer.unix_peer)
    return fmt::format("process {} of user {}", peer.unix_peer->pid, peer.unix_peer->uid);
  return peer.address;
}

// The identity that a refused certificate claims.
std::string claimed_identity(const http::Peer& peer) {
  if (!peer.certificate || peer.certificate->uris.empty()) return {};
  return printable(peer.certificate->uris.front(), limits::kIdentityBytesMax);
}

}  // namespace

RequestGate::RequestGate(Access access, prometheus::Registry& metrics)
    : access_(std::make_shared<const Access>(std::move(access))),
      refused_(prometheus::BuildCounter()
                   .Name("notp_agent_requests_refused_total")
                   .Help("Requests refused for who asked or what was asked, by code")
                   .Register(metrics)) {
  // A rate sees no first increase of a series that did not exist.
  for (const char* code : {"certificate_expired", "certificate_invalid", "certificate_missing",
                           "certificate_untrusted", "identity_denied", "path_not_allowed",
                           "too_many_requests", "unauthorized"})
    refused_.Add({{"code", code}});
}

void RequestGate::set(Access access) {
  access_.set(std::make_shared<const Access>(std::move(access)));
}

std::expected<Caller, Refusal> RequestGate::identify(const http::Request& request) const {
  return access_.get()->identify(request.peer, request.header("Authorization"),
                                 read_clock().wall_ms);
}

RequestGate::Admission RequestGate::admit(const http::Request& request) {
  auto caller = identify(request);
  if (!caller) return std::unexpected(refuse(request, caller.error()));
  auto place = at_once_.enter(caller->name, caller->at_once);
  if (!place)
    return std::unexpected(
        refuse(request, {kTooManyRequests, "too_many_requests",
                         fmt::format("{} has {} requests under way, as many as it may",
                                     caller->name, caller->at_once)}));
  return Admitted{*std::move(caller), *std::move(place)};
}

RequestGate::Admission RequestGate::admit_to_all(const http::Request& request,
                                                 std::string_view what) {
  auto admitted = admit(request);
  if (!admitted) return admitted;
  if (auto may = Access::check_everything(admitted->caller, what); !may)
    return std::unexpected(refuse(request, may.error()));
  return admitted;
}

std::optional<http::Response> RequestGate::refuse_path(const http::Request& request,
                                                       const Caller& caller,
                                                       const std::vector<std::string>& path) {
  if (auto may = Access::check_path(caller, path); !may) return refuse(request, may.error());
  return std::nullopt;
}

bool RequestGate::sees_all(const http::Request& request) const {
  const auto caller = identify(request);
  return caller && caller->everything;
}

http::Response RequestGate::refuse(const http::Request& request, const Refusal& refusal) {
  refused_.Add({{"code", std::string(refusal.code)}}).Increment();
  const std::string peer = peer_text(request.peer);
  uint64_t count = 0;
  {
    const MutexLock lock(refusals_mutex_);
    count = refusals_.count(peer, refusal.code, read_clock().boot_ms);
  }
  if (count > 0)
    log::warn("request_refused", {{"peer", peer},
                                  {"code", refusal.code},
                                  {"status", refusal.status},
                                  {"message", refusal.message},
                                  {"identity", claimed_identity(request.peer)},
                                  {"path", printable(request.path, limits::kPathBytesMax)},
                                  {"count", count}});
  http::Response response = http::error_response(refusal.status, refusal.code, refusal.message);
  if (refusal.status == kUnauthorized)
    response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"notp\"");
  if (refusal.status == kTooManyRequests) response.headers.emplace_back("Retry-After", "1");
  return response;
}

}  // namespace notp::api
