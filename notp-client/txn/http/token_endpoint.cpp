#include "notp-client/txn/http/token_endpoint.hpp"

#include <fmt/format.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include <algorithm>
#include <boost/asio/this_coro.hpp>

#include "common/log.hpp"
#include "common/uuid.hpp"
#include "notp-client/api/asked_decision.hpp"
#include "notp-client/txn/http/http_limits.hpp"
#include "notp-client/txn/issue/token_answer.hpp"
#include "notp-client/txn/txn_limits.hpp"

namespace notp::txn {

namespace asio = boost::asio;

namespace {

constexpr TimeMs kMsPerSecond = 1'000;
constexpr unsigned kTooMany = 429, kUnavailable = 503;

SubjectSource source_of(const SubjectIssuer& issuer) {
  SubjectSource out{.issuer = issuer.issuer,
                    .keys = issuer.keys,
                    .audience = issuer.audience,
                    .types = {},
                    .algorithms = issuer.algorithms,
                    .access_typ = issuer.access_typ,
                    .is_introspected = issuer.introspection.has_value(),
                    .has_opaque = issuer.introspection && issuer.introspection->is_for_opaque};
  for (const std::string& name : issuer.types)
    if (const auto type = subject_type_of(name)) out.types.push_back(*type);
  return out;
}

SubjectRules rules_of(const ServiceConfig& config) {
  SubjectRules out{.trust_domain = config.trust_domain,
                   .audience = config.audience,
                   .issuer = config.issuer,
                   .own_keys = config.keys.name,
                   .replacement = config.replaces_tokens,
                   .takes_assertions = config.takes_assertions,
                   .sources = {}};
  for (const SubjectIssuer& issuer : config.subjects) out.sources.push_back(source_of(issuer));
  return out;
}

Bytes random_bytes(size_t size) {
  Bytes out(size, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(size)) != 1)
    out.clear();
  return out;
}

std::optional<jose::PublicJwk> key_of(const http::PeerCertificate& certificate) {
  const auto* der = reinterpret_cast<const unsigned char*>(certificate.public_key.data());
  const x509::Key key(d2i_PUBKEY(nullptr, &der, static_cast<long>(certificate.public_key.size())));
  return key ? client_key(key.get()) : std::nullopt;
}

TokenError unavailable(Refusal refusal, std::string description) {
  TokenError error = token_refused(refusal, std::move(description)).error();
  error.retry_after_ms = limits::kTxnUnavailableRetryMs;
  return error;
}

std::unexpected<TokenError> assertion_used() {
  return token_refused(Refusal::kAssertionUsed,
                       "client_assertion: its jti was used before; sign a new one");
}

TokenResult<> check_denied(const std::string& client, const ReleaseFacts& facts) {
  if (facts.denied.identities.contains(client))
    return token_refused(Refusal::kClientDenied,
                         "this workload is on the deny list of the trust domain");
  if (facts.denied_fault.empty()) return {};
  return std::unexpected(
      unavailable(Refusal::kPolicyUnavailable, "who is denied cannot be read; try again later"));
}

// What the answer of a policy is to the core.
Result<std::optional<json::value>> answer_of(Result<pdp::Decision> decision) {
  if (!decision) return std::unexpected(std::move(decision).error());
  if (!decision->value) return std::nullopt;
  NOTP_ASSIGN(json::value value, parse_json(*decision->value));
  return std::optional(std::move(value));
}

http::Response json_response(unsigned status, const json::object& body) {
  http::Response response;
  response.status = status;
  response.body = json::serialize(body);
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

}  // namespace

TokenResult<std::string> workload_of(const std::optional<http::PeerCertificate>& shown,
                                     std::string_view trust_domain, TimeMs wall_ms) {
  if (!shown) return token_refused(Refusal::kNoCertificate, "show a client certificate");
  const http::PeerCertificate& certificate = *shown;
  if (!certificate.good())
    return token_refused(Refusal::kBadCertificate,
                         fmt::format("the client certificate: {}", certificate.error));
  if (wall_ms >= certificate.not_after_ms || wall_ms < certificate.not_before_ms)
    return token_refused(Refusal::kBadCertificate,
                         fmt::format("the client certificate is valid from {} to {}, and it is {}",
                                     utc_time(certificate.not_before_ms),
                                     utc_time(certificate.not_after_ms), utc_time(wall_ms)));
  const std::string uri = certificate.uris.size() == 1 ? certificate.uris.front() : std::string();
  const auto id = model::SpiffeId::parse(uri);
  if (!id || id->trust_domain != trust_domain)
    return token_refused(
        Refusal::kNotAWorkload,
        fmt::format("the client certificate has to name one SPIFFE id of the trust domain {}",
                    trust_domain));
  return uri;
}

http::Response refusal_response(const TokenError& error) {
  http::Response response = json_response(error.status(), error_document(error));
  if (error.status() == kTooMany || error.status() == kUnavailable)
    response.headers.emplace_back(
        "Retry-After",
        fmt::format("{}",
                    std::max<TimeMs>(1, (error.retry_after_ms + kMsPerSecond - 1) / kMsPerSecond)));
  return response;
}

// What is known of a request on its way.
struct TokenEndpoint::Attempt {
  const http::Request& request;
  const decision::SteadyClock::time_point started = decision::SteadyClock::now();
  std::string client;  // empty: no workload
  // With which it authenticated: in TLS, or in an assertion.
  std::optional<http::PeerCertificate> certificate = std::nullopt;
  std::optional<JtiUse> assertion = std::nullopt;  // to be taken
  std::optional<TokenForm> form = std::nullopt;    // if it was read to authenticate
  bool is_over = false;                            // beyond its limits
  json::object asked;       // for the record: what is asked for, without tokens
  bool is_decided = false;  // the policy was asked, and its decision is recorded

  decision::DecisionRequest decision(const std::vector<std::string>& path,
                                     const json::object& input) const {
    pdp::Question question{.path = path, .inputs = {}, .caller = client};
    question.inputs.emplace_back(Bytes(json::serialize(input)));
    return api::decision_request(decision::DecisionApi::kData, std::move(question), request,
                                 {.name = client, .identity = client}, started);
  }
};

// Who has proved to be a client.
struct TokenEndpoint::Authenticated {
  std::string identity = {};
  std::optional<http::PeerCertificate> certificate = std::nullopt;
  std::optional<JtiUse> assertion = std::nullopt;
};

TokenEndpoint::TokenEndpoint(const ServiceConfig& config, EndpointParts parts)
    : trust_domain_(config.trust_domain),
      policy_(pdp::path_segments(config.policy)),
      subjects_(config.subjects),
      parts_(std::move(parts)),
      core_(rules_of(config)),
      limits_(config.limits.per_second, config.limits.at_once) {}

asio::awaitable<http::Response> TokenEndpoint::answer(const http::Request& request) {
  Attempt attempt{.request = request, .asked = {}};
  const TokenResult<json::object> token = co_await issue(attempt);
  parts_.metrics.took(
      std::chrono::duration<double>(decision::SteadyClock::now() - attempt.started).count());
  if (!token) co_return refused(attempt, token.error());
  co_return json_response(200, *token);
}

TokenEndpoint::Awaited<json::object> TokenEndpoint::issue(Attempt& attempt) {
  const auto place = admit(attempt);
  if (!place) co_return std::unexpected(place.error());
  const ReleaseFactsPtr facts = co_await parts_.facts.get();
  auto checked = check(attempt, *facts);
  if (!checked) co_return std::unexpected(std::move(checked).error());
  const SubjectType type = checked->subject.type;
  auto request = co_await attach(*std::move(checked));
  if (!request) {
    attempt.is_over = request.error().refusal == Refusal::kBusy;  // its questions to an issuer
    co_return std::unexpected(std::move(request).error());
  }
  if (request->repeated) {
    auto token = sign(request->repeated->claims);
    if (!token) co_return std::unexpected(std::move(token).error());
    parts_.metrics.grant(GrantEvent::kRepeated);
    co_return token_document(*std::move(token), request->repeated->claims,
                             std::move(request->repeated->grant_id), parts_.trusted_ms());
  }
  auto issued = co_await decide(attempt, *std::move(request));
  if (!issued) co_return std::unexpected(std::move(issued).error());
  auto token = co_await keep_and_sign(type, *std::move(issued));
  // The policy's decision says that one may be issued, and not that none was.
  if (!token) attempt.is_decided = false;
  co_return token;
}

TokenResult<ClientLimits::Place> TokenEndpoint::admit(Attempt& attempt) {
  const Now now = read_clock();
  NOTP_ASSIGN(Authenticated known, authenticate(attempt, now));
  attempt.client = std::move(known.identity);
  attempt.certificate = std::move(known.certificate);
  attempt.assertion = std::move(known.assertion);
  auto place = limits_.enter(attempt.client, now.boot_ms);
  attempt.is_over = !place;
  return place;
}

// By the certificate of its connection, by an assertion (RFC 7523 §2.2), or by both, of one
// identity.
TokenResult<TokenEndpoint::Authenticated> TokenEndpoint::authenticate(Attempt& attempt,
                                                                      const Now& now) {
  const http::Request& request = attempt.request;
  Authenticated shown;
  if (request.peer.certificate || parts_.chains == nullptr) {
    NOTP_ASSIGN(shown.identity, workload_of(request.peer, trust_domain_, now.wall_ms));
    shown.certificate = request.peer.certificate;
  }
  if (parts_.chains == nullptr) return shown;
  auto form = read_form(request.header("Content-Type"), request.body);
  // Of a client that is known the refusal is recorded, when it has been let in.
  if (!form)
    return shown.certificate ? TokenResult<Authenticated>(std::move(shown))
                             : std::unexpected(form.error());
  if (!form->client_assertion.empty() || !form->client_assertion_type.empty()) {
    NOTP_ASSIGN(shown, take_assertion(request.peer, shown.identity, *form, now));
  } else if (!shown.certificate) {
    return token_refused(Refusal::kNoCertificate,
                         "show a client certificate, or send a client_assertion");
  }
  attempt.form = *std::move(form);
  return shown;
}

// Whoever sends one is nobody yet: what is dear is bounded by its address.
TokenResult<TokenEndpoint::Authenticated> TokenEndpoint::take_assertion(const http::Peer& peer,
                                                                        const std::string& shown,
                                                                        const TokenForm& form,
                                                                        const Now& now) {
  NOTP_ASSIGN(ClientAssertion assertion, read_client_assertion(form));
  NOTP_TRY(check_assertion_claims(assertion, core_.issuer(), parts_.trusted_ms()));
  const std::string address = FailedAssertions::key_of(peer.address);
  {
    const MutexLock lock(mutex_);
    if (const TimeMs wait_ms = failed_.wait_ms(address, now.boot_ms); wait_ms > 0) {
      TokenError error =
          token_refused(Refusal::kBusy,
                        fmt::format("{} assertions from this address have failed in a second, as "
                                    "many as may; try again later",
                                    limits::kTxnAssertionFailuresPerSecond))
              .error();
      error.retry_after_ms = wait_ms;
      return std::unexpected(std::move(error));
    }
  }
  auto known = verify_assertion(std::move(assertion), shown, now.wall_ms);
  if (known) return known;
  const MutexLock lock(mutex_);
  failed_.count(address, now.boot_ms);
  return known;
}

TokenResult<TokenEndpoint::Authenticated> TokenEndpoint::verify_assertion(ClientAssertion assertion,
                                                                          const std::string& shown,
                                                                          TimeMs wall_ms) {
  auto certificate = parts_.chains->judge(assertion.chain);
  if (!certificate)
    return token_refused(Refusal::kBadAssertion, "client_assertion: x5c has no certificates");
  NOTP_ASSIGN(std::string identity, workload_of(certificate, trust_domain_, wall_ms));
  const TimeMs now_ms = parts_.trusted_ms();
  NOTP_ASSIGN(JtiUse use,
              check_client_assertion(std::move(assertion), {identity, key_of(*certificate)},
                                     core_.issuer(), now_ms));
  // Whoever shows a certificate is that workload, and cannot speak for another.
  if (!shown.empty() && shown != identity)
    return token_refused(Refusal::kOtherIdentity,
                         "client_assertion is of another identity than the client certificate");
  {
    // Whoever has copied one takes nothing of its client's limits. It counts when it has been let
    // in: check().
    const MutexLock lock(mutex_);
    if (jtis_.was_used(use, now_ms)) return assertion_used();
  }
  return Authenticated{std::move(identity), std::move(certificate), std::move(use)};
}

// What needs no waiting.
TokenResult<CheckedRequest> TokenEndpoint::check(Attempt& attempt, const ReleaseFacts& facts) {
  const http::Request& request = attempt.request;
  NOTP_TRY(check_denied(attempt.client, facts));
  if (attempt.assertion) NOTP_TRY(take_assertion_jti(*attempt.assertion));
  auto read = attempt.form ? TokenResult<TokenForm>(*std::move(attempt.form))
                           : read_form(request.header("Content-Type"), request.body);
  NOTP_ASSIGN(TokenForm form, std::move(read));
  attempt.asked = {{"audience", form.audience},
                   {"scope", join_scopes(form.scopes)},
                   {"subject_token_type", subject_type_name(form.subject_type)}};
  if (form.request_context) attempt.asked["context"] = *form.request_context;
  if (form.request_details) attempt.asked["details"] = *form.request_details;
  Client client{.identity = attempt.client, .key = std::nullopt};
  if (form.subject_type == SubjectType::kSelfSigned) client.key = key_of(*attempt.certificate);
  const KeyLookup keys = [&](const std::string& name) {
    const auto owner = std::ranges::find(subjects_, name, &SubjectIssuer::keys);
    return facts.find(name, owner == subjects_.end() ? "" : owner->issuer);
  };
  const TimeMs now_ms = parts_.trusted_ms();
  NOTP_ASSIGN(CheckedRequest checked, core_.check(std::move(form), client, keys, now_ms));
  NOTP_TRY(take_jti(checked.jti_use, now_ms));
  return checked;
}

// Of two at once one is the first.
TokenResult<> TokenEndpoint::take_assertion_jti(const JtiUse& use) {
  auto taken = take_jti(use, parts_.trusted_ms());
  if (taken || taken.error().refusal != Refusal::kSubjectUsed) return taken;
  return assertion_used();
}

TokenResult<> TokenEndpoint::take_jti(const std::optional<JtiUse>& use, TimeMs now_ms) {
  if (!use) return {};
  const MutexLock lock(mutex_);
  return jtis_.take(*use, now_ms);
}

TokenEndpoint::Awaited<void> TokenEndpoint::attach_lane(CheckedRequest& request) {
  std::vector<LaneQuestion> questions = core_.lane_questions(request);
  std::vector<LaneFinding> findings(questions.size());
  if (parts_.lane && !questions.empty())
    findings = co_await parts_.lane(std::move(questions), request.client);
  co_return core_.attach_lane(request, std::move(findings));
}

// What the issuer of the subject token says of it.
TokenEndpoint::Awaited<void> TokenEndpoint::attach_introspection(CheckedRequest& request) {
  const auto question = core_.introspection_question(request);
  if (!question) co_return TokenResult<>();
  Introspector* const introspector = parts_.introspectors.at(question->source);
  auto answer = co_await introspector->ask({.token = request.form.subject_token,
                                            .token_id = question->token_id,
                                            .client = request.client});
  if (!answer) co_return std::unexpected(std::move(answer).error());
  if (auto attached = core_.attach_introspection(request, *answer, parts_.trusted_ms()); !attached)
    co_return attached;
  // An answer takes as long as timeout_ms: what was good before may have ended.
  const ReleaseFactsPtr facts = co_await parts_.facts.get();
  if (auto good = check_denied(request.client, *facts); !good) co_return good;
  if (parts_.trusted_ms() - limits::kTxnSkewMs >= request.subject.expires_ms)
    co_return token_refused(Refusal::kSubjectExpired,
                            "subject_token: it has expired while its issuer was asked");
  // Of an opaque token that the lane did not know it is only known now whose it is.
  co_return co_await attach_lane(request);
}

// What the store of grants, the lane and issuers know.
TokenEndpoint::Awaited<CheckedRequest> TokenEndpoint::attach(CheckedRequest request) {
  if (request.redeem) {
    auto found =
        co_await parts_.grants.find(request.redeem->grant_id, request.client, request.subject.jti);
    if (!found) {
      log::write(log::Level::kError, "txn_grants_failed", found.error());
      co_return std::unexpected(
          unavailable(Refusal::kStoreUnavailable, "grants cannot be read now; try again later"));
    }
    if (auto attached = core_.attach_grant(request, *std::move(found), parts_.trusted_ms());
        !attached)
      co_return std::unexpected(std::move(attached).error());
  }
  if (auto attached = co_await attach_lane(request); !attached)
    co_return std::unexpected(std::move(attached).error());
  if (auto attached = co_await attach_introspection(request); !attached)
    co_return std::unexpected(std::move(attached).error());
  co_return request;
}

std::optional<TokenError> TokenEndpoint::policy_trouble() const {
  const pdp::DecisionBasisPtr basis = parts_.pdp.basis();
  if (!basis->active)
    return unavailable(Refusal::kPolicyUnavailable, "no model decides here yet; try again later");
  // What is still to be dropped, and what the set that decides has dropped.
  if (basis->withheld.cover(policy_) ||
      pdp::WithheldRoots(nullptr, basis->active.get()).cover(policy_))
    return unavailable(Refusal::kPolicyUnavailable,
                       "the issuance model was withdrawn, or has expired here because its registry "
                       "has not been heard for too long; try again later");
  return std::nullopt;
}

std::optional<TokenError> TokenEndpoint::trouble() const {
  if (auto trouble = policy_trouble()) return trouble;
  if (!parts_.signing_key())
    return unavailable(Refusal::kNoKey, "no signing key is active at the nodes yet");
  return std::nullopt;
}

TokenEndpoint::Awaited<Issued> TokenEndpoint::decide(Attempt& attempt, CheckedRequest request) {
  if (auto nothing = trouble()) co_return std::unexpected(*std::move(nothing));
  auto ask = core_.ask(std::move(request), random_uuid(), parts_.trusted_ms());
  if (!ask) co_return std::unexpected(std::move(ask).error());
  attempt.asked = ask->input;
  decision::DecisionOutcome outcome =
      co_await parts_.decisions.decide(attempt.decision(policy_, ask->input));
  Result<pdp::Decision> decision = std::move(outcome).only();
  attempt.is_decided = decision.has_value();
  // The model went while it was asked, or never had such a rule.
  if (decision && !decision->value && !decision->rule_exists)
    co_return std::unexpected(policy_trouble().value_or(
        unavailable(Refusal::kPolicyUnavailable, "no model here says what may be issued")));
  if (!decision)
    log::write(log::Level::kError, "txn_policy_failed", decision.error(),
               {{"identity", attempt.client}, {"txn", ask->txn}});
  auto issued =
      core_.finish(*ask, answer_of(std::move(decision)), random_bytes, parts_.trusted_ms());
  // Its own decision says why.
  if (!issued && issued.error().refusal != Refusal::kPolicyDenied) attempt.is_decided = false;
  co_return issued;
}

// Nothing that can fail comes after what is durable.
TokenEndpoint::Awaited<json::object> TokenEndpoint::keep_and_sign(SubjectType subject,
                                                                  Issued issued) {
  const json::object claims = issued.claims;
  std::string grant_id = issued.grant_id();
  auto token = sign(claims);
  if (!token) co_return std::unexpected(std::move(token).error());
  if (issued.grant || issued.use) {
    const bool is_use = issued.use.has_value();
    GrantChange change =
        is_use ? GrantChange(*std::move(issued.use)) : GrantChange(*std::move(issued.grant));
    auto kept = co_await parts_.grants.apply(std::move(change));
    if (!kept) co_return std::unexpected(std::move(kept).error());
    grant_id = std::move(kept->token.grant_id);
    parts_.metrics.grant(kept->is_repeat ? GrantEvent::kRepeated
                         : is_use        ? GrantEvent::kUsed
                                         : GrantEvent::kMade);
    if (is_use && !kept->is_repeat && !grant_id.empty())
      parts_.metrics.grant(GrantEvent::kPassedOn);
    // The same request was decided at the same time, and was first.
    if (kept->is_repeat) {
      auto again = sign(kept->token.claims);
      if (!again) co_return std::unexpected(std::move(again).error());
      co_return token_document(*std::move(again), kept->token.claims, std::move(grant_id),
                               parts_.trusted_ms());
    }
  }
  parts_.metrics.issued(subject);
  log::debug("txn_issued", {{"txn", std::string_view(claims.at("txn").as_string())},
                            {"identity", std::string_view(claims.at("req_wl").as_string())},
                            {"token_hash", token_hash(*token)}});
  co_return token_document(*std::move(token), claims, std::move(grant_id), parts_.trusted_ms());
}

TokenResult<std::string> TokenEndpoint::sign(const json::object& claims) const {
  const RingKeyPtr current = parts_.signing_key();
  if (!current)
    return std::unexpected(
        unavailable(Refusal::kNoKey, "no signing key is active at the nodes yet; try again later"));
  auto token = sign_txn_token(claims, current->kid, current->key);
  // The key is kept until its last token has ended.
  const TimeMs until_ms = claims.at("exp").to_number<int64_t>() * kMsPerSecond;
  if (token)
    KeyRing::signed_for(*current, std::max<TimeMs>(0, until_ms - parts_.trusted_ms()),
                        read_clock());
  return token;
}

http::Response TokenEndpoint::refused(const Attempt& attempt, const TokenError& error) {
  parts_.metrics.refused(error.refusal);
  if (!attempt.client.empty() && !attempt.is_over && !attempt.is_decided) record(attempt, error);
  log(attempt, error);
  return refusal_response(error);
}

// The node gave no answer of a policy, or could not follow it: an error, which no replay repeats.
void TokenEndpoint::record(const Attempt& attempt, const TokenError& error) {
  if (!parts_.recorder) return;
  json::object input{{"client", attempt.client}, {"request", attempt.asked}};
  if (attempt.asked.contains("client")) input = attempt.asked;
  const json::array errors{json::object{{"code", error.reason()}, {"message", error.description}}};
  decision::DecisionRequest request = attempt.decision(policy_, input);
  const auto recorded = parts_.recorder->record(
      request,
      std::unexpected(Error{ErrorCode::kDenied, error.description, {}}.with(
          std::string(rego::kEvaluationErrorsKey), json::serialize(errors))),
      parts_.pdp.basis()->active);
  if (!recorded)
    log::write(log::Level::kError, "txn_refusal_not_recorded", recorded.error(),
               {{"identity", attempt.client}, {"reason", error.reason()}});
}

void TokenEndpoint::log(const Attempt& attempt, const TokenError& error) {
  const std::string peer = attempt.client.empty() ? attempt.request.peer.address : attempt.client;
  uint64_t count = 0;
  {
    const MutexLock lock(mutex_);
    count = refusals_.count(peer, error.reason(), read_clock().boot_ms);
  }
  if (count == 0) return;
  log::warn("txn_refused", {{"peer", peer},
                            {"reason", error.reason()},
                            {"code", error.code()},
                            {"status", error.status()},
                            {"message", error.description},
                            {"count", count}});
}

}  // namespace notp::txn
