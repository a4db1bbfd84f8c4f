#include "notp-client/txn/issue/token_kind.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

namespace notp::txn {
namespace {

constexpr std::array<std::string_view, 4> kOfIds = {"nonce", "at_hash", "c_hash", "s_hash"};
constexpr std::array<std::string_view, 1> kOfEvents = {"events"};
constexpr std::array<std::string_view, 2> kOfAccess = {"scope", "scp"};

// Claims by which issuers say what a token is, and what they say of each kind.
struct KindClaim {
  std::string_view name;
  std::array<std::string_view, 2> access;
  std::string_view id;
};
constexpr std::array<KindClaim, 2> kKindClaims = {
    {{"typ", {"Bearer", "DPoP"}, "ID"}, {"token_use", {"access", "access_token"}, "id"}}};

TokenResult<> check_kind(const json::object& claims, bool is_access) {
  for (const KindClaim& kind : kKindClaims) {
    const json::value* value = claims.if_contains(kind.name);
    if (value == nullptr) continue;
    const std::string_view text = value->is_string() ? std::string_view(value->get_string()) : "";
    if (is_access ? std::ranges::find(kind.access, text) != kind.access.end() : text == kind.id)
      continue;
    return token_refused(Refusal::kSubjectTyp,
                         fmt::format("subject_token: its claim {} says that it is not an {} token",
                                     kind.name, is_access ? "access" : "ID"));
  }
  return {};
}

TokenResult<> refuse_any(const json::object& claims, std::span<const std::string_view> names,
                         std::string_view what) {
  for (const std::string_view name : names)
    if (claims.contains(name))
      return token_refused(Refusal::kSubjectTyp,
                           fmt::format("subject_token has {}, which {} has not", name, what));
  return {};
}

}  // namespace

TokenResult<> check_says_access_token(const json::object& claims) {
  return check_kind(claims, true);
}

TokenResult<> check_is_access_token(const json::object& claims) {
  NOTP_TRY(check_says_access_token(claims));
  NOTP_TRY(refuse_any(claims, kOfIds, "an access token"));
  NOTP_TRY(refuse_any(claims, kOfEvents, "an access token"));
  if (std::ranges::any_of(kOfAccess, [&](auto name) { return claims.contains(name); })) return {};
  return token_refused(
      Refusal::kSubjectScope,
      "subject_token: without typ at+jwt an access token has to have scope or scp, "
      "which tell it from an ID token");
}

TokenResult<> check_is_id_token(const json::object& claims) {
  NOTP_TRY(check_kind(claims, false));
  NOTP_TRY(refuse_any(claims, kOfEvents, "an ID token"));
  return refuse_any(claims, kOfAccess, "an ID token");
}

TokenResult<> check_is_no_event(const json::object& claims) {
  return refuse_any(claims, kOfEvents, "a token of a subject");
}

}  // namespace notp::txn
