// Decides what the Txn-Token Service issues (draft-ietf-oauth-transaction-tokens-10). Pure.
//
// One request takes these steps; each one can refuse:
//   read_form()                       the body
//   IssuerCore::check()               client, audience, subject token, wishes
//   JtiTable::take()                  if CheckedRequest::jti_use is set: a self-signed token once
//   Grants::find(), attach_grant()    if CheckedRequest::redeem is set
//   lane_questions(), attach_lane()   without a lane, too
//   introspection_question(), attach_introspection(), and then again those of the lane if nothing
//                                     was known of the token before
//   CheckedRequest::repeated          is set: sign these claims, nothing else is asked or stored
//   ask()                             the policy's input
//   (the policy decides)
//   finish()                          its answer: the claims, and what becomes of grants
//   Grants::apply()                   if Issued has a grant or a use: durable before the answer
//   sign_txn_token(), token_document()
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "notp-client/txn/issue/grant.hpp"
#include "notp-client/txn/issue/introspection.hpp"
#include "notp-client/txn/issue/subject.hpp"
#include "notp-client/txn/issue/token_error.hpp"
#include "notp-client/txn/issue/token_form.hpp"

namespace notp::txn {

// Once for a purpose: for JtiTable.
struct JtiUse {
  std::string peer, jti;
  std::string purpose;  // the grant's id, or empty
  TimeMs until_ms = 0;
};

// What Grants::find() returns about a grant, for one client and jti.
struct GrantFinding {
  Grant grant;
  std::optional<EarlierUse> earlier;  // by this peer with this jti, if one is remembered
};

struct CheckedRequest {
  TokenForm form;
  std::string client;  // SPIFFE id
  VerifiedSubject subject;
  std::optional<DelegateWish> delegate;
  std::optional<RedeemWish> redeem;
  std::optional<JtiUse> jti_use;
  Hash request;  // of what is asked for
  // By attach_grant():
  std::optional<Grant> grant;
  std::optional<GrantedToken> repeated;  // the token given before, to be given again
};

// What the issuer of the subject token is asked.
struct IntrospectionQuestion {
  size_t source = 0;        // of SubjectRules
  std::string token_id;     // of the subject token of the form
  bool is_unknown = false;  // nothing is known of it before
};

struct PolicyAsk {
  CheckedRequest request;
  std::string txn;
  json::object input;
};

struct Issued {
  json::object claims;  // iss, iat, exp, aud, txn, sub, scope, req_wl, tctx, rctx in this order
  // At most one of them.
  std::optional<Grant> grant;   // to be stored
  std::optional<GrantUse> use;  // to be marked; may pass a grant on
  // The number of the grant made here, for the answer; empty: none.
  std::string grant_id() const;
};

// Immutable, thread-safe.
class IssuerCore {
 public:
  // Returns `size` bytes of the system's generator; fewer: it failed.
  using RandomBytes = std::function<Bytes(size_t size)>;

  explicit IssuerCore(SubjectRules rules) : rules_(std::move(rules)) {}

  const std::string& issuer() const { return rules_.issuer; }

  // `now_ms`, here and below: trusted wall time.
  TokenResult<CheckedRequest> check(TokenForm form, const Client& client, const KeyLookup& keys,
                                    TimeMs now_ms) const;

  // `found`: nullopt: no such grant. Checks `to`, time, uses, digest, scope, and finds the repeat.
  TokenResult<> attach_grant(CheckedRequest& request, std::optional<GrantFinding> found,
                             TimeMs now_ms) const;

  // What the lane must say, after attach_grant(): of the subject token, or of what the grant came
  // from. Empty: nothing.
  std::vector<LaneQuestion> lane_questions(const CheckedRequest& request) const;
  // `findings`: one for each question, in their order. Without a lane: all kNoLane.
  TokenResult<> attach_lane(CheckedRequest& request, std::vector<LaneFinding> findings) const;

  // Whom to ask about the subject token, after attach_lane(). nullopt: nobody.
  std::optional<IntrospectionQuestion> introspection_question(const CheckedRequest& request) const;
  // kSubjectInactive; what contradicts the token or its rules; kIntrospectionUnavailable for an
  // answer that cannot be followed. The scope is what both allow.
  TokenResult<> attach_introspection(CheckedRequest& request, const Introspected& answer,
                                     TimeMs now_ms) const;

  // The policy's input {client, subject {type, claims, record}, request {scope, context, details},
  // grant, txn, now}. `txn`: a new unique id, which a replacement does not use: see PolicyAsk::txn.
  // After attach_lane(), also without a lane.
  TokenResult<PolicyAsk> ask(CheckedRequest request, std::string txn, TimeMs now_ms) const;

  // `answer`: what the policy said; nullopt: undefined; an error: it could not be asked. Members:
  //   allow       must be true
  //   sub         text; of a grant or a Txn-Token it may be left out, and never be another
  //   scope       array of texts, each of those requested
  //   covers      array of {scope, by}, `by` a scope of the subject token; for subjects that have
  //               none (id_token, self_signed, unsigned_json) {scope, entitlement}, the name of
  //               what the model grants to the client. Not needed for a grant or a Txn-Token,
  //               whose scope is a bound by itself
  //   tctx, rctx  objects, may be left out
  //   lifetime_s  1 to 300, may be left out
  //   delegate    what of request_details.delegate is granted: true, or an object with scope
  //               (array), not_after (NumericDate), uses, none of which may be more
  //   unsigned_json  true: an unsigned JSON object is believed of this client
  //   reason      text for the client, when allow is not true
  // kPolicyBroken for an answer that would break an invariant: never a token.
  TokenResult<Issued> finish(const PolicyAsk& ask, const Result<std::optional<json::value>>& answer,
                             const RandomBytes& random, TimeMs now_ms) const;

 private:
  const SubjectRules rules_;
};

}  // namespace notp::txn
