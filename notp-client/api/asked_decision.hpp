// What the record of a decision says about the HTTP request that asked for it. Pure.
#pragma once

#include "common/http/message.hpp"
#include "notp-client/api/access.hpp"
#include "notp-client/decision/decision_request.hpp"

namespace notp::api {

// The request for a question that came with `request`, whose handler began at `started`.
decision::DecisionRequest decision_request(decision::DecisionApi api, pdp::Question question,
                                           const http::Request& request, const Caller& caller,
                                           decision::SteadyClock::time_point started);

// The caller as far as it is proven: its identity or token; the process behind a Unix socket;
// without any of these its address.
record::Pep pep_of(const http::Peer& peer, const Caller& caller);

// A W3C trace context (https://www.w3.org/TR/trace-context/ section 3.2).
struct TraceContext {
  std::string trace_id, span_id;  // lower-case hexadecimal
};
// nullopt for an invalid header: then the request has no trace.
std::optional<TraceContext> parse_traceparent(std::string_view header);

}  // namespace notp::api
