#include "notp-client/app/txn_parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "common/spawn.hpp"
#include "notp-client/txn/grants/sqlite_grants.hpp"
#include "notp-client/txn/keys/documents.hpp"
#include "protocol/feed/record_document.hpp"

namespace notp::client {
namespace {

// A token that is not here yet is asked for so long, of a node that asks.
constexpr std::chrono::milliseconds kLaneWait(200);
constexpr TimeMs kMsPerSecond = 1'000;

txn::ReleaseFactsOptions facts_of(const txn::ServiceConfig& config) {
  txn::ReleaseFactsOptions out{.keys = {config.keys.name}, .deny_list = config.deny_list};
  for (const txn::SubjectIssuer& issuer : config.subjects) out.keys.insert(issuer.keys);
  return out;
}

lane::TokenQuestion question_of(txn::LaneQuestion question) {
  lane::TokenQuestion out{.token = std::nullopt, .claims = std::move(question.claims)};
  if (const auto id = feed::TokenId::from_hex(question.token_id)) out.token = *id;
  return out;
}

txn::LaneFinding finding_of(const lane::TokenVerdict& verdict) {
  using State = txn::LaneFinding::State;
  txn::LaneFinding out;
  switch (verdict.state) {
    case lane::TokenVerdict::State::kGood:
      out.state = State::kGood;
      break;
    case lane::TokenVerdict::State::kRevoked:
      out.state = State::kRevoked;
      break;
    case lane::TokenVerdict::State::kStale:
      out.state = State::kStale;
      break;
  }
  if (verdict.record) out.record = feed::record_document(*verdict.record);
  return out;
}

// One for each issuer; null: it is not asked.
Result<Introspectors> open_introspectors(const std::vector<txn::SubjectIssuer>& subjects) {
  Introspectors out(subjects.size());
  for (size_t i = 0; i < subjects.size(); ++i) {
    if (!subjects[i].introspection) continue;
    auto opened = txn::Introspector::open(*subjects[i].introspection, process_environment());
    if (!opened)
      return std::unexpected(std::move(opened).error().in(
          fmt::format("txn.service.subjects: {}", subjects[i].issuer)));
    out[i] = *std::move(opened);
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<TxnParts>> TxnParts::open(const txn::ServiceConfig& config, TxnPlace place) {
  Stores stores;
  NOTP_ASSIGN(stores.grants, txn::SqliteGrants::open(
                                 {.folder = config.folder, .grants_max = config.limits.grants}));
  NOTP_ASSIGN(stores.keys, txn::KeyRing::open(
                               place.agent,
                               {.folder = config.keys.folder,
                                .ledger = config.keys.ledger,
                                .algorithm = config.keys.algorithm,
                                .rotate_ms = config.keys.rotate_ms},
                               {.ask = place.ask,
                                .hint = [missing = place.missing_key, issuer = config.issuer](
                                            const std::string& kid) { missing({issuer, kid}); }}));
  NOTP_ASSIGN(stores.introspectors, open_introspectors(config.subjects));
  if (config.takes_assertions) {
    NOTP_ASSIGN(stores.chains, txn::ClientChains::open(config.listen.endpoint));
  }
  std::unique_ptr<TxnParts> parts(new TxnParts(config, std::move(place), std::move(stores)));
  parts->grants_.start();
  NOTP_TRY(parts->api_.listen(parts->place_.http, config, parts->place_.metrics));
  parts->files_.watch(parts->files());
  parts->keys_->start();
  return parts;
}

TxnParts::TxnParts(const txn::ServiceConfig& config, TxnPlace place, Stores stores)
    : config_(config),
      place_(std::move(place)),
      metrics_(*place_.metrics),
      introspectors_(std::move(stores.introspectors)),
      chains_(std::move(stores.chains)),
      keys_(std::move(stores.keys)),
      facts_(facts_of(config_), place_.pdp, place_.pool, place_.load),
      grants_(std::move(stores.grants), place_.trusted_ms),
      token_(config_, endpoint_parts()),
      admin_(config_, facts_, grants_, key_admin(), place_.lane ? place_.lane->name() : "",
             metrics_),
      api_(token_, admin_, documents()),
      files_(place_.agent, [this] { look(); }) {}

txn::EndpointParts TxnParts::endpoint_parts() {
  txn::EndpointParts parts{.decisions = place_.decisions,
                           .recorder = place_.records ? place_.records->recorder() : nullptr,
                           .pdp = place_.pdp,
                           .facts = facts_,
                           .grants = grants_,
                           .metrics = metrics_,
                           .signing_key = [this] { return keys_->current(); },
                           .lane = {},
                           .trusted_ms = place_.trusted_ms};
  parts.chains = chains_.get();
  for (const auto& introspector : introspectors_) parts.introspectors.push_back(introspector.get());
  if (place_.lane)
    parts.lane = [this](std::vector<txn::LaneQuestion> questions, std::string client) {
      return ask_lane(std::move(questions), std::move(client));
    };
  return parts;
}

boost::asio::awaitable<std::vector<txn::LaneFinding>> TxnParts::ask_lane(
    std::vector<txn::LaneQuestion> questions, std::string client) {
  std::vector<lane::TokenQuestion> asked;
  asked.reserve(questions.size());
  for (txn::LaneQuestion& question : questions) asked.push_back(question_of(std::move(question)));
  const auto verdicts =
      co_await place_.lane->host().judge(std::move(asked), std::move(client), kLaneWait);
  std::vector<txn::LaneFinding> findings;
  findings.reserve(verdicts.size());
  for (const lane::TokenVerdict& verdict : verdicts) findings.push_back(finding_of(verdict));
  co_return findings;
}

std::vector<std::filesystem::path> TxnParts::files() const {
  std::vector<std::filesystem::path> out = api_.files();
  for (const auto& introspector : introspectors_)
    if (introspector) std::ranges::copy(introspector->files(), std::back_inserter(out));
  return out;
}

void TxnParts::look() {
  api_.look();
  if (chains_) chains_->look();
  for (const auto& introspector : introspectors_)
    if (introspector) introspector->look();
}

txn::KeyAdmin TxnParts::key_admin() {
  return {.list = [this] { return keys_->list(); },
          .revoke = [this](const std::string& kid) { return keys_->revoke(kid); }};
}

txn::TxnDocuments TxnParts::documents() {
  return {.jwks = [this] { return keys_->jwks(); },
          .metadata =
              [this] { return txn::metadata_document(config_.issuer, config_.takes_assertions); }};
}

// The agent's status changes more often than what decides.
void TxnParts::on_status() {
  const pdp::ActiveSetPtr active = place_.pdp.basis()->active;
  if (!active || active == told_) return;
  told_ = active;
  spawn(place_.agent, tell_keys());
}

boost::asio::awaitable<void> TxnParts::tell_keys() {
  const txn::ReleaseFactsPtr facts = co_await facts_.get();
  txn::ActiveKeys active;
  const auto keys = facts->find(config_.keys.name, config_.issuer);
  const pdp::ActiveSetPtr& set = facts->active;
  const auto release = set->ledgers.find(config_.keys.ledger);
  if (keys && release != set->ledgers.end()) {
    active.version = release->second.ref.version;
    active.fresh_ms =
        static_cast<TimeMs>(release->second.freshness_status.terms.fresh_s) * kMsPerSecond;
    for (const jose::PublicJwk& key : keys->keys()) active.kids.insert(key.kid());
  }
  keys_->on_active(std::move(active));
}

void TxnParts::stop(std::function<void()> ended) {
  files_.stop();
  keys_->stop();
  api_.stop(std::move(ended));
}

json::object TxnParts::document() const {
  const auto trouble = token_.trouble();
  json::object out{{"address", api_.address()},
                   {"issuer", config_.issuer},
                   {"issues", !trouble},
                   {"grants", grants_.size()}};
  if (trouble) out["trouble"] = trouble->description;
  if (const auto key = keys_->current()) out["kid"] = key->kid;
  return out;
}

void TxnParts::refresh_metrics() {
  metrics_.set_grants(grants_.size());
  metrics_.set_can_issue(!token_.trouble());
}

}  // namespace notp::client
