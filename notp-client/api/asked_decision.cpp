#include "notp-client/api/asked_decision.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace notp::api {
namespace {

// "127.0.0.1:4711", "[::1]:4711", "unix".
std::string requested_by(const http::Peer& peer) {
  if (peer.transport == http::Transport::kUnix) return peer.address;
  return peer.address.contains(':') ? fmt::format("[{}]:{}", peer.address, peer.port)
                                    : fmt::format("{}:{}", peer.address, peer.port);
}

bool is_lower_hex(std::string_view text) {
  return std::ranges::all_of(
      text, [](char byte) { return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f'); });
}

bool is_id(std::string_view text) {
  return is_lower_hex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

}  // namespace

decision::DecisionRequest decision_request(decision::DecisionApi api, pdp::Question question,
                                           const http::Request& request, const Caller& caller,
                                           decision::SteadyClock::time_point started) {
  decision::DecisionRequest out{.api = api,
                                .question = std::move(question),
                                .pep = pep_of(request.peer, caller),
                                .requested_by = requested_by(request.peer),
                                .started = started};
  if (auto trace = parse_traceparent(request.header("traceparent"))) {
    out.trace_id = std::move(trace->trace_id);
    out.span_id = std::move(trace->span_id);
  }
  return out;
}

record::Pep pep_of(const http::Peer& peer, const Caller& caller) {
  record::Pep pep{.identity = caller.identity, .token = caller.token};
  if (peer.unix_peer) {
    pep.uid = peer.unix_peer->uid;
    pep.gid = peer.unix_peer->gid;
    if (peer.unix_peer->pid > 0) pep.pid = static_cast<uint32_t>(peer.unix_peer->pid);
  } else if (pep.identity.empty() && pep.token.empty()) {
    pep.address = peer.address;
  }
  return pep;
}

std::optional<TraceContext> parse_traceparent(std::string_view header) {
  constexpr size_t kVersion0Bytes = 55;  // "00-" trace id "-" span id "-" flags
  if (header.size() < kVersion0Bytes || header[2] != '-' || header[35] != '-' || header[52] != '-')
    return std::nullopt;
  const std::string_view version = header.substr(0, 2), flags = header.substr(53, 2);
  if (!is_lower_hex(version) || version == "ff" || !is_lower_hex(flags)) return std::nullopt;
  // A later version may have more behind another dash.
  if (header.size() > kVersion0Bytes && (version == "00" || header[kVersion0Bytes] != '-'))
    return std::nullopt;
  TraceContext trace{std::string(header.substr(3, 32)), std::string(header.substr(36, 16))};
  if (!is_id(trace.trace_id) || !is_id(trace.span_id)) return std::nullopt;
  return trace;
}

}  // namespace notp::api
