// Untrusted requests to a Txn-Token Service, and the answers of a careless policy. The first line
// is the form, the rest the answer; the subjects that need no signature get as far as a token. The
// whole is also what an issuer answers that is asked about a token.
#include <string_view>

#include "common/assert.hpp"
#include "notp-client/txn/issue/client_assertion.hpp"
#include "notp-client/txn/issue/introspection.hpp"
#include "notp-client/txn/issue/issuer_core.hpp"
#include "notp-client/txn/issue/members.hpp"
#include "notp-client/txn/issue/policy_answer.hpp"
#include "notp-client/txn/txn_limits.hpp"

namespace {

using namespace notp;
using namespace notp::txn;

constexpr TimeMs kNowMs = 1'800'000'000'000;
constexpr std::string_view kFormType = "application/x-www-form-urlencoded";

const IssuerCore& core() {
  static const IssuerCore core({.trust_domain = "td",
                                .audience = "td",
                                .issuer = "https://tts.td",
                                .own_keys = "txn",
                                .replacement = true,
                                .sources = {}});
  return core;
}

void check_text(std::string_view text) {
  for (const char c : text)
    NOTP_ASSERT(c >= ' ' && c <= '~' && c != '"' && c != '\\', "a description of RFC 6749 5.2");
}

void check_form(const TokenForm& form) {
  NOTP_ASSERT(!form.scopes.empty() && form.scopes.size() <= limits::kTxnScopesMax, "scopes");
  for (size_t i = 0; i < form.scopes.size(); ++i) {
    NOTP_ASSERT(!form.scopes[i].empty() && form.scopes[i].size() <= limits::kTxnScopeBytesMax,
                "a scope within its limit");
    for (size_t j = 0; j < i; ++j) NOTP_ASSERT(form.scopes[i] != form.scopes[j], "once");
  }
  NOTP_ASSERT(read_scopes(join_scopes(form.scopes)) == form.scopes, "scopes are one text");
  NOTP_ASSERT(
      !form.subject_token.empty() && form.subject_token.size() <= limits::kTxnSubjectTokenBytesMax,
      "a subject token within its limit");
  for (const auto& context : {form.request_context, form.request_details})
    NOTP_ASSERT(!context || !holds_token(*context), "no context with a token");
}

void check_issued(const PolicyAsk& ask, const Issued& issued) {
  const json::object& claims = issued.claims;
  const auto scopes = read_scopes(text_in(claims, "scope"));
  NOTP_ASSERT(scopes && is_within(*scopes, ask.request.form.scopes), "scope is what was asked for");
  const int64_t iat = claims.at("iat").as_int64(), exp = claims.at("exp").as_int64();
  NOTP_ASSERT(exp > iat && exp - iat <= limits::kTxnLifeMsMax / 1'000, "a life within its limit");
  NOTP_ASSERT(!text_in(claims, "sub").empty() && text_in(claims, "aud") == "td", "sub and aud");
  NOTP_ASSERT(json::serialize(claims).size() <= limits::kTxnClaimsBytesMax, "claims fit a header");
  for (const char* name : {"tctx", "rctx"})
    if (const json::value* context = claims.if_contains(name))
      NOTP_ASSERT(!holds_token(*context), "no token in a token");
  NOTP_ASSERT(!issued.use, "nothing was redeemed");
  if (!issued.grant) return;
  const Grant& grant = *issued.grant;
  NOTP_ASSERT(is_within(grant.scopes, *scopes) && grant.sub == text_in(claims, "sub") &&
                  grant.depth() == 1 && grant.not_after_ms > kNowMs &&
                  grant.not_after_ms <= kNowMs + limits::kTxnGrantLifeMsMax && grant.uses >= 1 &&
                  grant.uses <= limits::kTxnGrantUsesMax,
              "a grant is not wider than its token");
}

void check_assertion(const TokenForm& form) {
  auto assertion = read_client_assertion(form);
  if (!assertion) return check_text(assertion.error().description);
  NOTP_ASSERT(!assertion->chain.empty() && assertion->chain.size() < form.client_assertion.size(),
              "certificates, out of the assertion");
  const auto checked = check_client_assertion(
      *std::move(assertion), {"spiffe://td/a", std::nullopt}, "https://tts.td", kNowMs);
  NOTP_ASSERT(!checked, "no key, no signature");
  check_text(checked.error().description);
}

void check_introspection(std::string_view body) {
  NOTP_ASSERT(!read_introspection(500, body), "only 200 is an answer");
  const auto answer = read_introspection(200, body);
  if (!answer) return check_text(answer.error().description);
  NOTP_ASSERT(answer->is_active || answer->attributes.empty(), "nothing is known of a dead token");
  NOTP_ASSERT(json::serialize(answer->attributes).size() <= limits::kTxnIntrospectedBytesMax,
              "attributes within their limit");
}

void issue(TokenForm form, std::string_view answer) {
  const Client client{"spiffe://td/a", std::nullopt};
  auto request = core().check(std::move(form), client, [](const auto&) { return nullptr; }, kNowMs);
  if (!request) return check_text(request.error().description);
  if (!core().attach_grant(*request, std::nullopt, kNowMs)) return;
  if (!core().attach_lane(*request,
                          std::vector<LaneFinding>(core().lane_questions(*request).size())))
    return;
  const auto ask = core().ask(*std::move(request), "t1", kNowMs);
  if (!ask) return check_text(ask.error().description);
  NOTP_ASSERT(!holds_token(ask->input), "a policy is asked with no token");
  const auto parsed = parse_json(answer);
  const auto issued = core().finish(
      *ask, parsed ? Result<std::optional<json::value>>(*parsed) : std::unexpected(parsed.error()),
      [](size_t size) { return Bytes(size, 'r'); }, kNowMs);
  if (!issued) return check_text(issued.error().description);
  check_issued(*ask, *issued);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_introspection(text);
  const size_t end = text.find('\n');
  auto form = read_form(kFormType, text.substr(0, end));
  if (!form) {
    check_text(form.error().description);
    return 0;
  }
  check_form(*form);
  check_assertion(*form);
  issue(*std::move(form), end == std::string_view::npos ? "" : text.substr(end + 1));
  return 0;
}
