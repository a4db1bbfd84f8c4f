// AuthZEN Authorization API 1.0 (https://openid.net/specs/authorization-api-1_0.html) without I/O.
#pragma once

#include <variant>

#include "common/http/message.hpp"
#include "common/json.hpp"
#include "notp-client/pdp/pdp.hpp"

namespace notp {

enum class AuthzenSemantic { kExecuteAll, kDenyOnFirstDeny, kPermitOnFirstPermit };

// What an evaluation (§6) or evaluations request (§7) asks of the decision rule.
class AuthzenRequest {
 public:
  // 400 for a request that misses a required member. In a request for several, with defaults at
  // the top, a member that misses one denies, with the error in its context. At most
  // kEvaluationsMax.
  static std::expected<AuthzenRequest, http::Response> parse(ByteView body, bool several);

  // One for each question: an object of subject, action, resource and context.
  const std::vector<std::optional<Bytes>>& inputs() const { return inputs_; }

  // {"decision": …, "context": …}, or an array of them. The rule may give a boolean, or an object
  // with the boolean "decision" and an optional "context"; undefined and anything else denies.
  http::Response respond(const Result<std::vector<Result<Decision>>>& decisions) const;

 private:
  // Of one member: the question of that index, or a denial without asking.
  using Member = std::variant<size_t, json::object>;

  bool several_ = false;
  AuthzenSemantic semantic_ = AuthzenSemantic::kExecuteAll;
  std::vector<Member> members_;
  std::vector<std::optional<Bytes>> inputs_;
};

// §9: the metadata document, for the base URL that clients use.
json::value authzen_configuration(std::string_view base_url);

inline constexpr size_t kEvaluationsMax = 1'000;

}  // namespace notp
