// AuthZEN Authorization API 1.0 (https://openid.net/specs/authorization-api-1_0.html) without I/O.
#pragma once

#include <functional>

#include "common/http/message.hpp"
#include "common/json.hpp"

namespace notp {

// Asks the configured decision with an input of subject, action, resource and context.
using AskDecision = std::function<Result<std::optional<Bytes>>(ByteView input)>;

// §6: {"decision": …, "context": …}. The rule may give a boolean, or an object with the boolean
// "decision" and an optional "context"; undefined and anything else denies. 400 for a request that
// misses a required member.
http::Response authzen_evaluation(ByteView body, const AskDecision& ask);

// §7: several at once, with defaults at the top and options.evaluations_semantic. A member that
// cannot be evaluated denies, with the error in its context. At most kEvaluationsMax.
http::Response authzen_evaluations(ByteView body, const AskDecision& ask);

// §9: the metadata document, for the base URL that clients use.
json::value authzen_configuration(std::string_view base_url);

inline constexpr size_t kEvaluationsMax = 1'000;

}  // namespace notp
