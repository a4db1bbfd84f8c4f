// Refusals of the token endpoint (RFC 6749 §5.2, RFC 8693 §2.2.2).
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "common/clock.hpp"
#include "common/json/json.hpp"

namespace notp::txn {

// name (stable, in metrics, logs and records), HTTP status, error code
#define NOTP_TXN_REFUSAL_TABLE(X)                                                                \
  /* the client */                                                                               \
  X(kNoCertificate, "no_certificate", 401, "invalid_client")                                     \
  X(kBadCertificate, "bad_certificate", 401, "invalid_client")                                   \
  X(kNotAWorkload, "not_a_workload", 401, "invalid_client") /* no SPIFFE id of this domain */    \
  X(kClientDenied, "client_denied", 401, "invalid_client")  /* on the deny list */               \
  X(kOtherClient, "other_client", 401, "invalid_client")    /* client_id is another */           \
  X(kOtherAuthentication, "other_authentication", 401, "invalid_client")                         \
  X(kBadAssertion, "bad_assertion", 401, "invalid_client")                                       \
  X(kAssertionExpired, "assertion_expired", 401, "invalid_client")                               \
  X(kAssertionUsed, "assertion_used", 401, "invalid_client") /* its jti */                       \
  X(kOtherIdentity, "other_identity", 401, "invalid_client") /* than the certificate's */        \
  /* the form */                                                                                 \
  X(kContentType, "content_type", 400, "invalid_request")                                        \
  X(kFormTooLarge, "form_too_large", 413, "invalid_request")                                     \
  X(kBadForm, "bad_form", 400, "invalid_request")                                                \
  X(kRepeatedParameter, "repeated_parameter", 400, "invalid_request")                            \
  X(kMissingParameter, "missing_parameter", 400, "invalid_request")                              \
  X(kParameterTooLarge, "parameter_too_large", 400, "invalid_request")                           \
  X(kGrantType, "grant_type", 400, "unsupported_grant_type")                                     \
  X(kRequestedType, "requested_type", 400, "invalid_request")                                    \
  X(kActorToken, "actor_token", 400, "invalid_request")                                          \
  X(kAudience, "audience", 400, "invalid_target")                                                \
  X(kResource, "resource", 400, "invalid_target")                                                \
  X(kBadScope, "bad_scope", 400, "invalid_scope") /* none, malformed, too many */                \
  X(kBadContext, "bad_context", 400, "invalid_request")                                          \
  X(kBadDetails, "bad_details", 400, "invalid_request")                                          \
  X(kTokenInDetails, "token_in_details", 400, "invalid_request")                                 \
  X(kBadDelegate, "bad_delegate", 400, "invalid_request")                                        \
  /* the subject token */                                                                        \
  X(kSubjectType, "subject_type", 400, "invalid_request") /* unknown, or not taken here */       \
  X(kSubjectMalformed, "subject_malformed", 400, "invalid_request")                              \
  X(kSubjectIssuer, "subject_issuer", 400, "invalid_request")                                    \
  X(kSubjectTyp, "subject_typ", 400, "invalid_request")                                          \
  X(kSubjectAlgorithm, "subject_algorithm", 400, "invalid_request")                              \
  X(kSubjectKey, "subject_key", 400, "invalid_request")                                          \
  X(kSubjectSignature, "subject_signature", 400, "invalid_request")                              \
  X(kSubjectAudience, "subject_audience", 400, "invalid_request")                                \
  X(kSubjectExpired, "subject_expired", 400, "invalid_request")                                  \
  X(kSubjectTime, "subject_time", 400, "invalid_request") /* in the future, or lives too long */ \
  X(kSubjectClaims, "subject_claims", 400, "invalid_request")                                    \
  X(kSubjectUsed, "subject_used", 400, "invalid_request") /* its jti */                          \
  X(kJtisPerClient, "jtis_per_client", 429, "temporarily_unavailable")                           \
  X(kSubjectRevoked, "subject_revoked", 400, "invalid_request")                                  \
  X(kSubjectUnknown, "subject_unknown", 400, "invalid_request")   /* opaque, without a record */ \
  X(kSubjectInactive, "subject_inactive", 400, "invalid_request") /* by introspection */         \
  X(kIntrospectionUnavailable, "introspection_unavailable", 503, "temporarily_unavailable")      \
  X(kIntrospectionBusy, "introspection_busy", 503, "temporarily_unavailable")                    \
  X(kLaneStale, "lane_stale", 400, "invalid_request") /* nobody knows whether it is revoked */   \
  X(kNoSubjectKeys, "no_subject_keys", 503, "temporarily_unavailable")                           \
  X(kSubjectScope, "subject_scope", 400, "invalid_scope") /* its scope is unknown */             \
  /* grants */                                                                                   \
  X(kGrantUnknown, "grant_unknown", 400, "invalid_request") /* or ended, revoked, another's */   \
  X(kGrantUsed, "grant_used", 400, "invalid_request")                                            \
  X(kGrantNotForClient, "grant_not_for_client", 400, "invalid_request")                          \
  X(kGrantExpired, "grant_expired", 400, "invalid_request")                                      \
  X(kGrantDigest, "grant_digest", 400, "invalid_request")                                        \
  X(kGrantSubject, "grant_subject", 400, "invalid_request") /* not self-signed */                \
  X(kGrantRepeatDiffers, "grant_repeat_differs", 400, "invalid_request")                         \
  X(kGrantScope, "grant_scope", 400, "invalid_scope")                                            \
  X(kGrantDepth, "grant_depth", 400, "invalid_request")                                          \
  X(kGrantsFull, "grants_full", 503, "temporarily_unavailable")                                  \
  X(kGrantsPerClient, "grants_per_client", 429, "temporarily_unavailable")                       \
  /* replacement */                                                                              \
  X(kReplacementOff, "replacement_off", 400, "invalid_request")                                  \
  X(kReplacedTooOften, "replaced_too_often", 400, "invalid_request")                             \
  X(kReplacementTime, "replacement_time", 400, "invalid_request")                                \
  X(kReplacementScope, "replacement_scope", 400, "invalid_scope")                                \
  /* the policy */                                                                               \
  X(kPolicyDenied, "policy_denied", 400, "unauthorized_client") /* also: undefined */            \
  X(kNoScopeLeft, "no_scope_left", 400, "invalid_scope")                                         \
  X(kDelegationDenied, "delegation_denied", 400, "unauthorized_client")                          \
  X(kPolicyBroken, "policy_broken", 500, "server_error") /* breaks an invariant */               \
  /* the service */                                                                              \
  X(kPolicyUnavailable, "policy_unavailable", 503, "temporarily_unavailable")                    \
  X(kNoKey, "no_key", 503, "temporarily_unavailable")                                            \
  X(kStoreUnavailable, "store_unavailable", 503, "temporarily_unavailable")                      \
  X(kBusy, "busy", 429, "temporarily_unavailable")                                               \
  X(kOverloaded, "overloaded", 503, "temporarily_unavailable")                                   \
  X(kInternal, "internal", 500, "server_error")

enum class Refusal : uint8_t {
#define NOTP_TXN_REFUSAL_ENUM(name, text, status, code) name,
  NOTP_TXN_REFUSAL_TABLE(NOTP_TXN_REFUSAL_ENUM)
#undef NOTP_TXN_REFUSAL_ENUM
};

struct RefusalTraits {
  std::string_view name;  // snake case, stable
  unsigned status;
  std::string_view code;  // member "error"
};
const RefusalTraits& refusal_traits(Refusal refusal);

// Why no token is issued. Never holds a token or a part of one.
struct TokenError {
  Refusal refusal = Refusal::kInternal;
  std::string description;    // what is wrong and what to do; RFC 6749 §5.2 characters only
  TimeMs retry_after_ms = 0;  // of 429 and 503; 0: a second

  unsigned status() const { return refusal_traits(refusal).status; }
  std::string_view code() const { return refusal_traits(refusal).code; }
  std::string_view reason() const { return refusal_traits(refusal).name; }
};

template <typename T = void>
using TokenResult = std::expected<T, TokenError>;

// `description` may quote names that a peer sent, never values of tokens. Characters that RFC 6749
// §5.2 excludes are replaced, and it is cut to 400.
[[nodiscard]] std::unexpected<TokenError> token_refused(Refusal refusal, std::string description);

// The body of the answer: error, error_description (RFC 6749 §5.2).
json::object error_document(const TokenError& error);

}  // namespace notp::txn
