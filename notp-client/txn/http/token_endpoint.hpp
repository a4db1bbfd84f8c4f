// The token endpoint (RFC 8693 §2, draft-ietf-oauth-transaction-tokens-10): the way of a request
// from its client to its token.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/http/message.hpp"
#include "common/mutex.hpp"
#include "notp-client/api/access.hpp"
#include "notp-client/decision/decision_service.hpp"
#include "notp-client/txn/http/client_chains.hpp"
#include "notp-client/txn/http/client_limits.hpp"
#include "notp-client/txn/http/failed_assertions.hpp"
#include "notp-client/txn/http/grants_host.hpp"
#include "notp-client/txn/http/introspector.hpp"
#include "notp-client/txn/http/release_facts.hpp"
#include "notp-client/txn/http/txn_metrics.hpp"
#include "notp-client/txn/issue/client_assertion.hpp"
#include "notp-client/txn/issue/issuer_core.hpp"
#include "notp-client/txn/issue/jti_table.hpp"
#include "notp-client/txn/keys/key_ring.hpp"
#include "notp-client/txn/service_config.hpp"

namespace notp::txn {

// All of it outlives the endpoint; functions are called on any thread.
struct EndpointParts {
  decision::DecisionService& decisions;
  decision::DecisionRecorder* recorder = nullptr;  // null: decisions are not recorded
  pdp::Pdp& pdp;
  CurrentFacts& facts;
  GrantsHost& grants;
  TxnMetrics& metrics;
  std::function<RingKeyPtr()> signing_key;  // that may be used now; null: none
  // What the lane says of each question; empty: this node follows none.
  std::function<boost::asio::awaitable<std::vector<LaneFinding>>(std::vector<LaneQuestion>,
                                                                 std::string client)>
      lane = {};
  std::function<TimeMs()> trusted_ms;  // trusted wall time
  // For each of ServiceConfig::subjects; null: it is not asked.
  std::vector<Introspector*> introspectors = {};
  // By whose certificates clients may sign assertions; null: there are none.
  const ClientChains* chains = nullptr;
};

// The workload whose certificate a request came with: good, within its validity, with one SPIFFE id
// of the trust domain. kNoCertificate, kBadCertificate, kNotAWorkload.
TokenResult<std::string> workload_of(const std::optional<http::PeerCertificate>& shown,
                                     std::string_view trust_domain, TimeMs wall_ms);
inline TokenResult<std::string> workload_of(const http::Peer& peer, std::string_view trust_domain,
                                            TimeMs wall_ms) {
  return workload_of(peer.certificate, trust_domain, wall_ms);
}

// Thread-safe.
//
// Each request that a workload makes is recorded: what its policy decided, and, when something else
// refused it, an error with the stable name of the reason. Requests of nobody who is authenticated,
// and those beyond what a client may ask, are counted and logged alone: they would let anyone fill
// the log.
class TokenEndpoint {
 public:
  TokenEndpoint(const ServiceConfig& config, EndpointParts parts);

  boost::asio::awaitable<http::Response> answer(const http::Request& request);

  // Whether a token could be issued now, as far as that depends on this node; else why not.
  std::optional<TokenError> trouble() const;

 private:
  struct Attempt;
  struct Authenticated;
  template <typename T>
  using Awaited = boost::asio::awaitable<TokenResult<T>>;

  TokenResult<ClientLimits::Place> admit(Attempt& attempt);
  TokenResult<Authenticated> authenticate(Attempt& attempt, const Now& now);
  // `shown`: the identity of its certificate in TLS; empty: there is none.
  TokenResult<Authenticated> take_assertion(const http::Peer& peer, const std::string& shown,
                                            const TokenForm& form, const Now& now);
  TokenResult<Authenticated> verify_assertion(ClientAssertion assertion, const std::string& shown,
                                              TimeMs wall_ms);
  TokenResult<CheckedRequest> check(Attempt& attempt, const ReleaseFacts& facts);
  TokenResult<> take_assertion_jti(const JtiUse& use);
  TokenResult<> take_jti(const std::optional<JtiUse>& use, TimeMs now_ms);
  Awaited<json::object> issue(Attempt& attempt);
  Awaited<CheckedRequest> attach(CheckedRequest request);
  Awaited<void> attach_lane(CheckedRequest& request);
  Awaited<void> attach_introspection(CheckedRequest& request);
  Awaited<Issued> decide(Attempt& attempt, CheckedRequest request);
  Awaited<json::object> keep_and_sign(SubjectType subject, Issued issued);
  TokenResult<std::string> sign(const json::object& claims) const;
  std::optional<TokenError> policy_trouble() const;
  http::Response refused(const Attempt& attempt, const TokenError& error);
  void record(const Attempt& attempt, const TokenError& error);
  void log(const Attempt& attempt, const TokenError& error);

  const std::string trust_domain_;
  const std::vector<std::string> policy_;
  const std::vector<SubjectIssuer> subjects_;
  const EndpointParts parts_;
  const IssuerCore core_;
  ClientLimits limits_;
  Mutex mutex_;
  JtiTable jtis_ NOTP_GUARDED_BY(mutex_);
  FailedAssertions failed_ NOTP_GUARDED_BY(mutex_);
  api::RefusalLog refusals_ NOTP_GUARDED_BY(mutex_);
};

// {error, error_description} with the status, Retry-After, and Cache-Control: no-store.
http::Response refusal_response(const TokenError& error);

}  // namespace notp::txn
