#include "notp-server/sources/sources.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "notp-server/sources/issuer_limits.hpp"

namespace notp::sources {
namespace {

// Apart from the times.
bool is_same_state(const wire::SourceStatus& a, const wire::SourceStatus& b) {
  return std::ranges::equal(a.issuers, b.issuers, {}, &wire::IssuerStatus::state,
                            &wire::IssuerStatus::state);
}

http::ClientOptions client_options(const IssuerConfig& issuer, const Environment& environment) {
  return {
      .tls = {.authorities = issuer.ca, .certificate = {}, .private_key = {}, .pins = issuer.pins},
      .proxy = {},
      .environment = environment};
}

// nullopt: the issuer's key set is for everybody.
Result<std::optional<oauth::TokenClient>> token_client(const IssuerConfig& issuer,
                                                       const Environment& environment) {
  if (!issuer.auth) return std::nullopt;
  return oauth::TokenClient::open(*issuer.auth, issuer.server(),
                                  client_options(issuer, environment));
}

}  // namespace

Result<std::unique_ptr<Sources>> Sources::open(const SourcesConfig& config, SourcesParts parts) {
  auto out = std::unique_ptr<Sources>(new Sources(std::move(parts)));
  Sources& self = *out;
  self.publisher_ = std::make_unique<KeyPublisher>(
      KeyPublisherParts{.registry = self.parts_.registry,
                        .root = self.parts_.root,
                        .key = config.key,
                        .terms = config.terms,
                        .publish = [&self](publish::PublishAttempt attempt) {
                          return self.effects_.publish(std::move(attempt));
                        }});
  wire::SourceStatus statuses;
  for (const IssuerConfig& issuer : config.issuers) {
    auto client = http::Client::open(client_options(issuer, self.parts_.environment));
    if (!client)
      return std::unexpected(
          std::move(client).error().in(fmt::format("sources.issuers, {}", issuer.name)));
    auto tokens = token_client(issuer, self.parts_.environment);
    if (!tokens)
      return std::unexpected(
          std::move(tokens).error().in(fmt::format("sources.issuers, {}", issuer.name)));
    auto& keys = self.ledgers_[issuer.ledger];
    if (!keys) keys = std::make_unique<LedgerKeys>(issuer.ledger, *self.publisher_);
    keys->add(issuer.name);
    self.issuers_.push_back(std::make_unique<IssuerHost>(
        issuer, *std::move(client), *std::move(tokens), self.parts_.registry, *keys));
    statuses.issuers.push_back(self.issuers_.back()->status(read_clock()));
  }
  self.statuses_.set(std::make_shared<const wire::SourceStatus>(std::move(statuses)));
  return out;
}

Sources::~Sources() { stop(); }

void Sources::start(SourcesEffects effects) {
  effects_ = std::move(effects);
  for (const auto& issuer : issuers_) issuer->start([this] { update_statuses(); });
}

void Sources::stop() {
  for (const auto& issuer : issuers_) issuer->stop();
}

void Sources::update_statuses() {
  {
    const MutexLock lock(statuses_mutex_);
    const Now now = read_clock();
    wire::SourceStatus fresh;
    for (const auto& issuer : issuers_) fresh.issuers.push_back(issuer->status(now));
    const auto before = statuses_.get();
    if (fresh == *before) return;
    const bool is_due = now.boot_ms - reported_ms_ >= limits::kGoodFetchReportMs;
    if (is_same_state(fresh, *before) && !is_due) return;
    reported_ms_ = now.boot_ms;
    statuses_.set(std::make_shared<const wire::SourceStatus>(std::move(fresh)));
  }
  effects_.statuses_changed();
}

// The same issuer may feed ledgers of several environments.
void Sources::unknown_key(const serve::Peer&, const wire::UnknownKey& key) {
  for (const auto& issuer : issuers_)
    if (issuer->config().terms.urls.issuer == key.issuer) issuer->unknown_key(key.kid);
}

wire::SourcesPage Sources::page(const std::string& name, const MaySee& may_see) const {
  wire::SourcesPage out;
  const Now now = read_clock();
  for (const auto& issuer : issuers_) {
    const IssuerConfig& config = issuer->config();
    if ((name.empty() || name == config.name) && may_see(config.ledger))
      out.rows.push_back(issuer->row(now));
  }
  return out;
}

Result<wire::SourcesPage> Sources::refresh(const model::LedgerId& ledger, const std::string& name) {
  for (const auto& issuer : issuers_) {
    if (issuer->config().ledger != ledger || issuer->config().name != name) continue;
    NOTP_TRY(issuer->refresh());
    return wire::SourcesPage{.rows = {issuer->row(read_clock())}, .more = false};
  }
  return fail(ErrorCode::kNotFound,
              fmt::format("{} has no key source of the name {}", ledger.text(), printable(name)));
}

void Sources::root_changed() {
  for (const auto& issuer : issuers_) issuer->root_changed();
}

std::vector<IssuerReport> Sources::reports() const {
  std::vector<IssuerReport> out;
  const Now now = read_clock();
  for (const auto& issuer : issuers_) out.push_back(issuer->report(now));
  return out;
}

}  // namespace notp::sources
