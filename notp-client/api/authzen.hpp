// AuthZEN Authorization API 1.0 (https://openid.net/specs/authorization-api-1_0.html) without I/O.
// Requests and decisions pass through as written, so that numbers of any size survive.
#pragma once

#include <expected>
#include <variant>

#include "common/http/message.hpp"
#include "common/json/json.hpp"
#include "notp-client/pdp/pdp.hpp"

namespace notp::api {

enum class AuthzenSemantic : uint8_t { kExecuteAll, kDenyOnFirstDeny, kPermitOnFirstPermit };

// The inputs of an evaluation (§6) or evaluations request (§7) for the decision rule.
class AuthzenRequest {
 public:
  // 400 for a body that is not JSON or has another content type, and for a request that misses a
  // required member. In a request for several, with defaults at the top, a member that misses one
  // denies, with the error in its context. At most kEvaluationsMax; 413 beyond
  // kEvaluationsInputBytesMax.
  static std::expected<AuthzenRequest, http::Response> parse(std::string_view content_type,
                                                             ByteView body, bool several);

  // One for each question: an object of subject, action, resource and context.
  const std::vector<pdp::InputText>& inputs() const { return inputs_; }

  // {"decision": …, "context": …}, or an array of them. The rule may return a boolean, or an object
  // with the boolean "decision" and an optional "context"; undefined and anything else denies.
  http::Response respond(const pdp::Decisions& decisions) const;

 private:
  // For one member: the index of its question, or a denial (JSON) without a question.
  using Member = std::variant<size_t, Bytes>;

  // Adds the question of one evaluation, or the error about its missing member.
  void add(std::expected<Bytes, std::string> input);

  bool several_ = false;
  AuthzenSemantic semantic_ = AuthzenSemantic::kExecuteAll;
  std::vector<Member> members_;
  std::vector<pdp::InputText> inputs_;
};

// §9: the metadata document for the base URL that clients use.
json::value authzen_configuration(std::string_view base_url);

inline constexpr size_t kEvaluationsMax = 1'000;
// The total size of the inputs of one request: every evaluation includes the defaults.
inline constexpr size_t kEvaluationsInputBytesMax = 16 << 20;

}  // namespace notp::api
