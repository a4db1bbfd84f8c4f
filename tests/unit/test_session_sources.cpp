// Key sources at both ends of a session: to whom their status is sent, how often, and what is
// reported of keys.
#include <doctest/doctest.h>

#include "protocol/session/client/client_session.hpp"
#include "tests/support/registry/served_session.hpp"

namespace notp::session {
namespace {

wire::IssuerStatus issuer(std::string name, const model::LedgerId& ledger,
                          wire::IssuerState state = wire::IssuerState::kOk) {
  return {name, "https://" + name + ".internal", ledger, state, samples::kIssuedMs};
}

struct Sources final : IssuerStatuses {
  std::vector<wire::IssuerStatus> all = {issuer("login", samples::kLedger),
                                         issuer("partner", kOther)};
  std::shared_ptr<const wire::SourceStatus> issuers() const override {
    return std::make_shared<const wire::SourceStatus>(wire::SourceStatus{all});
  }
};

struct Site {
  Sources sources;
  Served served{samples::kNode, &sources};

  std::vector<wire::SourceStatus> changed() {
    served.session.sources_changed();
    return all_of<wire::SourceStatus>(served.output());
  }
};

wire::WantMore want_more(const model::LedgerId& ledger) {
  wire::Want want;
  want.ledger = ledger;
  want.base = wire::Base{3, sha256("of another registry")};
  return {{want}};
}

}  // namespace

TEST_CASE("sources: a node hears of the issuers of its ledgers, each status once") {
  Site site;
  CHECK(site.changed().empty());  // before Hello
  const auto greeted = site.served.subscribe({samples::kLedger});
  REQUIRE(std::holds_alternative<wire::Welcome>(greeted.front()));
  const auto first = all_of<wire::SourceStatus>(greeted);
  REQUIRE(first.size() == 1);
  CHECK(first[0].issuers == std::vector{issuer("login", samples::kLedger)});
  CHECK(site.changed().empty());
  site.sources.all[1].state = wire::IssuerState::kFailing;  // of another ledger
  CHECK(site.changed().empty());
  site.sources.all[0].good_ms += 60'000;
  const auto renewed = site.changed();
  REQUIRE(renewed.size() == 1);
  CHECK(renewed[0].issuers == std::vector{site.sources.all[0]});
  site.sources.all.erase(site.sources.all.begin());
  const auto gone = site.changed();
  REQUIRE(gone.size() == 1);
  CHECK(gone[0].issuers.empty());
  site.served.session.receive(wire::encode_frame(wire::Bye{}), kStart);
  site.sources.all[0] = issuer("login", samples::kLedger);
  CHECK(site.changed().empty());
}

TEST_CASE("sources: WantMore adds the issuers of its ledger") {
  Site site;
  site.served.registry.set_head(kOther, 3);
  site.served.subscribe({samples::kLedger});
  const auto more = all_of<wire::SourceStatus>(site.served.after(want_more(kOther)));
  REQUIRE(more.size() == 1);
  CHECK(more[0].issuers == site.sources.all);
  CHECK(all_of<wire::SourceStatus>(site.served.after(want_more(kOther))).empty());
}

TEST_CASE(
    "sources: who follows ledgers hears that there are none, and nobody else hears anything") {
  Site site;
  site.sources.all.clear();
  const auto none = all_of<wire::SourceStatus>(site.served.subscribe({samples::kLedger}));
  REQUIRE(none.size() == 1);
  CHECK(none[0].issuers.empty());
  Site publisher;
  CHECK(all_of<wire::SourceStatus>(publisher.served.subscribe({})).empty());
  Served no_sources;
  CHECK(all_of<wire::SourceStatus>(no_sources.subscribe({samples::kLedger})).empty());
  no_sources.session.sources_changed();
  CHECK(no_sources.output().empty());
}

TEST_CASE("sources: a ledger that is not granted has no issuers") {
  Site site;
  site.served.registry.forbidden = {samples::kLedger};
  CHECK(all_of<wire::SourceStatus>(site.served.subscribe({samples::kLedger})).empty());
}

TEST_CASE("sources: a key that a node misses reaches the host, without an answer") {
  Site site;
  site.served.subscribe({samples::kLedger});
  site.served.events.clear();
  CHECK(site.served.after(wire::UnknownKey{"https://login.internal", "2026-06"}).empty());
  REQUIRE(site.served.events.size() == 1);
  const auto* met = std::get_if<server_event::UnknownKeyMet>(&site.served.events[0]);
  REQUIRE(met);
  CHECK(met->key.kid == "2026-06");
  CHECK_FALSE(site.served.session.is_closed());
}

namespace {

// A node that follows kLedger, welcomed.
struct Client {
  ClientSession session;

  Client() : session(hello(), {}, kStart) {
    wire::Welcome welcome;
    welcome.trust_domain = std::string(samples::kDomain);
    tell(welcome);
    session.take_output(1 << 20);
    session.take_events();
  }
  static wire::Hello hello() {
    wire::Want want;
    want.ledger = samples::kLedger;
    return {{wire::kProtocolVersion}, "test", 1, 0, {want}};
  }
  void tell(const wire::Message& message) { session.receive(wire::encode_frame(message), kStart); }
};

// The code of the Error that a session answers with; nullopt: it goes on.
std::optional<ErrorCode> error_in(SessionMachine& session) {
  const auto errors = all_of<wire::ErrorMessage>(messages_in(session.take_output(1 << 20)));
  CHECK(session.is_closed() == !errors.empty());
  return errors.empty() ? std::nullopt : std::optional(errors[0].code);
}

const wire::UnknownKey kMissed{"https://login.internal", "2026-06"};

}  // namespace

TEST_CASE("sources: a node hears the status of its ledgers, and sends the keys it misses") {
  Client client;
  client.tell(wire::SourceStatus{{issuer("login", samples::kLedger)}});
  const auto events = client.session.take_events();
  REQUIRE(events.size() == 1);
  CHECK(std::get<client_event::SourceStatusArrived>(events[0]).status.issuers.size() == 1);
  client.session.unknown_key(kMissed);
  const auto said = messages_in(client.session.take_output(1 << 20));
  REQUIRE(said.size() == 1);
  CHECK(std::get<wire::UnknownKey>(said[0]).issuer == kMissed.issuer);
}

TEST_CASE("sources: what has no place ends the session with STATE") {
  Client client;
  client.tell(wire::SourceStatus{});
  CHECK_FALSE(error_in(client.session));
  client.tell(wire::SourceStatus{{issuer("login", samples::kLedger), issuer("partner", kOther)}});
  CHECK(error_in(client.session) == ErrorCode::kState);

  Client told_a_key;
  told_a_key.tell(kMissed);
  CHECK(error_in(told_a_key.session) == ErrorCode::kState);

  ClientSession early(Client::hello(), {}, kStart);
  early.take_output(1 << 20);
  early.receive(wire::encode_frame(wire::SourceStatus{}), kStart);
  CHECK(error_in(early) == ErrorCode::kState);

  Served before_hello;
  before_hello.session.receive(wire::encode_frame(kMissed), kStart);
  CHECK(error_in(before_hello.session) == ErrorCode::kState);

  Served told_a_status;
  told_a_status.subscribe({samples::kLedger});
  told_a_status.session.receive(wire::encode_frame(wire::SourceStatus{}), kStart);
  CHECK(error_in(told_a_status.session) == ErrorCode::kState);
}

}  // namespace notp::session
