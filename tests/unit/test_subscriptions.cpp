// Both ends of a session, with frames in flight: numbers stand for ledgers in Offer and Commit, and
// both ends always agree on their meaning.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include "common/limits.hpp"
#include "protocol/delta/artifact.hpp"
#include "protocol/session/client/client_session.hpp"
#include "protocol/session/server/server_session.hpp"
#include "tests/support/registry/prepared_artifact.hpp"

namespace notp {
namespace {

const model::LedgerId kFirst{273165098782, "payments"}, kSecond{273165098782, "gateway"},
    kThird{273165098782, "iam"};
constexpr Now kNow{1'000, 1'000};

Hash hash_of(const model::LedgerId& ledger, uint64_t version, std::string_view what) {
  return sha256(ledger.text() + " " + std::to_string(version) + " " + std::string(what));
}
wire::Base base_of(const model::LedgerId& ledger, uint64_t version) {
  return {version, hash_of(ledger, version, "content")};
}

struct Registry final : session::Catalog, session::TargetSource, session::SessionRights {
  std::map<model::LedgerId, uint64_t> heads = {{kFirst, 3}, {kSecond, 3}, {kThird, 3}};
  std::set<model::LedgerId> forbidden;

  std::optional<trust::ReleaseRef> target(const model::LedgerId& ledger,
                                          std::string_view) const override {
    return release(ledger, heads.at(ledger));
  }
  std::optional<trust::ReleaseRef> release(const model::LedgerId& ledger,
                                           uint64_t version) const override {
    if (version == 0 || version > heads.at(ledger)) return std::nullopt;
    return trust::ReleaseRef{ledger, 1, version, hash_of(ledger, version, "release"),
                             base_of(ledger, version).content_root};
  }
  std::optional<trust::ReleaseRef> newest(const model::LedgerId& ledger) const override {
    return release(ledger, heads.at(ledger));
  }
  std::optional<trust::ReleaseRef> pending(const model::LedgerId&, uint64_t,
                                           const Hash&) const override {
    return std::nullopt;
  }
  std::vector<session::CatalogRoot> roots_after(uint64_t) const override { return {}; }
  uint64_t newest_root() const override { return 0; }
  Result<void> may(wire::Action, const model::LedgerId* ledger) const override {
    if (ledger && forbidden.contains(*ledger)) return fail(ErrorCode::kDenied, "not granted");
    return {};
  }
};

wire::Want want(const model::LedgerId& ledger, uint64_t base = 0) {
  wire::Want out;
  out.ledger = ledger;
  if (base != 0) out.base = base_of(ledger, base);
  return out;
}

// A simulated artifact: names the releases it is between.
Bytes artifact_of(const session::server_event::ArtifactNeeded& need) {
  return need.ledger.name + " " + std::to_string(need.base_version) + " to " +
         std::to_string(need.version);
}

// A client and a registry, and the messages in flight between them.
struct Session {
  Registry registry;
  session::ServerSession server{
      {registry, registry, registry}, {"test", "core-platform.internal", "peer"}, kNow};
  std::unique_ptr<session::ClientSession> client;
  Bytes to_client, to_server;
  std::vector<wire::Offer> sent;  // as sent
  std::vector<session::client_event::OfferComplete> arrived;
  std::vector<wire::Commit> reported;  // to the registry's host
  std::optional<Error> client_end, server_end;

  void start(std::vector<wire::Want> wants, std::vector<session::PartialArtifact> partials = {}) {
    client = std::make_unique<session::ClientSession>(
        wire::Hello{{wire::kProtocolVersion}, "test", 0, 0, std::move(wants)}, std::move(partials),
        kNow);
    settle();
  }
  // Delivers the client's output, and lets the registry answer it.
  void client_speaks() {
    to_server += client->take_output(1 << 20);
    server.receive(std::exchange(to_server, {}), kNow);
    registry_works();
  }
  void registry_works() {
    for (session::ServerEvent& event : server.take_events()) {
      if (const auto* need = std::get_if<session::server_event::ArtifactNeeded>(&event))
        server.artifact_ready(need->ticket, prepared_artifact(registry, *need, artifact_of(*need)));
      if (auto* commit = std::get_if<session::server_event::Committed>(&event))
        reported.push_back(std::move(commit->commit));
      if (auto* closed = std::get_if<session::server_event::Closed>(&event))
        server_end = closed->error;
    }
    const Bytes said = server.take_output(1 << 20);
    wire::FrameParser parser;
    parser.feed(said);
    for (auto next = parser.next(); next && *next; next = parser.next())
      if (const auto* offer = std::get_if<wire::Offer>(&**next)) sent.push_back(*offer);
    to_client += said;
  }
  void registry_speaks() {
    registry_works();
    client->receive(std::exchange(to_client, {}), kNow);
    for (session::ClientEvent& event : client->take_events()) {
      if (auto* complete = std::get_if<session::client_event::OfferComplete>(&event))
        arrived.push_back(std::move(*complete));
      if (auto* closed = std::get_if<session::client_event::Closed>(&event))
        client_end = closed->error;
    }
  }
  void settle() {
    client_speaks();
    registry_speaks();
  }
  void publish(const model::LedgerId& ledger) {
    ++registry.heads[ledger];
    server.target_changed(ledger);
  }
  void report(const model::LedgerId& ledger, uint64_t version,
              wire::CommitState state = wire::CommitState::kActive,
              trust::FreshnessState freshness = trust::FreshnessState::kUntracked) {
    wire::Commit commit;
    commit.ledger = ledger;
    commit.version = version;
    commit.state = state;
    commit.freshness = freshness;
    client->commit(std::move(commit));
  }
  // The registry's message arrives unchanged.
  ErrorCode client_answers(const wire::Message& message) {
    to_client += wire::encode_frame(message);
    registry_speaks();
    return client_end ? client_end->code : ErrorCode{};
  }
  ErrorCode registry_answers(const wire::Message& message) {
    server.receive(wire::encode_frame(message), kNow);
    registry_works();
    return server_end ? server_end->code : ErrorCode{};
  }
};

// The offer matches its artifact.
void check_meant(const session::client_event::OfferComplete& arrived) {
  const wire::Offer& offer = arrived.offer;
  CHECK(arrived.artifact == offer.ledger.name + " " +
                                std::to_string(offer.base ? offer.base->version : 0) + " to " +
                                std::to_string(offer.version));
}

TEST_CASE("offers to subscriptions say what their reader cannot know, and no more") {
  Session session;
  session.start({want(kFirst, 2), want(kSecond), want(kThird, 1)});
  REQUIRE(session.sent.size() == 3);
  const uint64_t base_distance[] = {1, 0, 2};
  for (uint32_t i = 0; i < 3; ++i) {
    const wire::Offer& offer = session.sent[i];
    CHECK(offer.is_short());
    CHECK(offer.subscription == i);
    CHECK(offer.base_distance == base_distance[i]);
    CHECK(offer.artifact.is_zero());
    CHECK(offer.stream == i);
  }
  REQUIRE(session.arrived.size() == 3);
  for (const auto& arrived : session.arrived) check_meant(arrived);
}

TEST_CASE("a push of one release costs a few bytes, and so does its report") {
  Session session;
  session.start({want(kFirst, 3)});
  session.publish(kFirst);
  session.registry_works();
  REQUIRE(session.sent.size() == 1);
  wire::Offer named = session.sent.front();
  named.ledger = kFirst;
  named.base = base_of(kFirst, 3);
  named.artifact = hash_of(kFirst, 4, "artifact");
  named.subscription = 0;
  named.base_distance = 0;
  const size_t short_bytes = wire::encode_frame(session.sent.front()).size();
  const size_t named_bytes = wire::encode_frame(named).size();
  session.registry_speaks();
  session.report(kFirst, 4);
  const size_t commit_bytes = session.client->take_output(1 << 20).size();
  wire::Commit commit;
  commit.ledger = kFirst;
  commit.version = 4;
  commit.state = wire::CommitState::kActive;
  const size_t named_commit_bytes = wire::encode_frame(commit).size();
  MESSAGE("Offer " << named_bytes << " -> " << short_bytes << " bytes, Commit "
                   << named_commit_bytes << " -> " << commit_bytes);
  CHECK(short_bytes == 8);
  CHECK(commit_bytes == 6);
}

TEST_CASE("a want that is not granted has its number, one that does not subscribe has none") {
  Session session;
  session.registry.forbidden = {kSecond};
  wire::Want once = want(kThird, 1), look = want(kThird);
  once.version = 2;
  look.heads_only = true;
  session.start({once, look, want(kFirst, 2), want(kSecond, 2), want(kFirst, 1), want(kThird, 2)});
  std::map<model::LedgerId, uint32_t> numbers;
  size_t named = 0;
  for (const wire::Offer& offer : session.sent) {
    if (!offer.is_short()) {
      CHECK(offer.ledger == kThird);
      CHECK(offer.base == base_of(kThird, 1));
      CHECK_FALSE(offer.artifact.is_zero());
      ++named;
    } else {
      numbers[offer.subscription == 0 ? kFirst : kThird] = offer.subscription;
    }
  }
  CHECK(named == 1);
  CHECK(numbers == std::map<model::LedgerId, uint32_t>{{kFirst, 0}, {kThird, 2}});
  for (const auto& arrived : session.arrived) check_meant(arrived);
  // Number 1 is the refused ledger: no report can refer to it.
  wire::Commit commit;
  commit.version = 1;
  commit.subscription = 1;
  CHECK(session.registry_answers(commit) == ErrorCode::kState);
}

TEST_CASE("a want that replaces another keeps the number, whatever is on its way") {
  Session session;
  session.start({want(kSecond, 3), want(kFirst, 3)});
  session.publish(kFirst);
  session.registry_works();  // the delta is in flight
  session.client->want({want(kFirst)});
  session.client_speaks();  // and now full content as well
  REQUIRE(session.sent.size() == 2);
  CHECK(session.sent[0].base_distance == 1);
  CHECK(session.sent[1].base_distance == 0);
  CHECK(session.sent[0].subscription == 1);
  CHECK(session.sent[1].subscription == 1);
  session.registry_speaks();
  REQUIRE(session.arrived.size() == 2);
  for (const auto& arrived : session.arrived) check_meant(arrived);
  // The reverse: the want is in flight when the registry offers.
  session.report(kFirst, 4);
  session.settle();
  session.client->want({want(kFirst, 2)});
  session.publish(kFirst);
  session.registry_works();
  session.settle();
  REQUIRE(session.arrived.size() == 4);
  CHECK(session.arrived[2].offer.base->version == 4);
  CHECK(session.arrived[3].offer.base->version == 2);
  for (const auto& arrived : session.arrived) check_meant(arrived);
  CHECK_FALSE(session.client_end);
  CHECK_FALSE(session.server_end);
}

TEST_CASE("an offer crosses a want for another ledger") {
  Session session;
  session.start({want(kFirst, 3)});
  session.client->want({want(kThird, 2), want(kSecond, 2)});
  session.publish(kFirst);
  session.registry_works();
  session.settle();
  REQUIRE(session.sent.size() == 3);
  CHECK(session.sent[0].subscription == 0);
  CHECK(session.sent[1].subscription == 1);
  CHECK(session.sent[2].subscription == 2);
  REQUIRE(session.arrived.size() == 3);
  for (const auto& arrived : session.arrived) check_meant(arrived);
}

TEST_CASE("after REJECTED the next offer starts from the release before") {
  Session session;
  session.start({want(kFirst, 2)});
  session.report(kFirst, 3, wire::CommitState::kRejected);
  session.settle();
  session.publish(kFirst);
  session.registry_speaks();
  session.report(kFirst, 4, wire::CommitState::kStored);
  session.report(kFirst, 4, wire::CommitState::kRejected);  // the PDP rejects it
  session.settle();
  session.publish(kFirst);
  session.registry_speaks();
  REQUIRE(session.arrived.size() == 3);
  CHECK(session.arrived[1].offer.base->version == 2);
  CHECK(session.sent[1].base_distance == 2);
  CHECK(session.arrived[2].offer.base->version == 4);
  for (const auto& arrived : session.arrived) check_meant(arrived);
}

TEST_CASE("what was refused is offered again under a newer root, once") {
  Session session;
  session.start({want(kFirst, 2)});
  const auto new_root = [&] {
    session.server.roots_changed(kNow);
    session.registry_works();
    return session.sent.size();
  };
  session.report(kFirst, 3, wire::CommitState::kRejected);
  session.settle();
  REQUIRE(session.sent.size() == 1);
  CHECK(new_root() == 2);
  session.settle();
  CHECK(new_root() == 2);  // under way: the refusal below crosses this root
  session.report(kFirst, 3, wire::CommitState::kRejected);
  session.settle();
  CHECK(session.sent.size() == 3);
  session.report(kFirst, 3, wire::CommitState::kStored);
  session.settle();
  CHECK(new_root() == 3);  // held
  for (const auto& arrived : session.arrived) check_meant(arrived);
}

TEST_CASE("reports come back whole, and say a state of freshness when it changes") {
  Session session;
  session.start({want(kFirst, 3), want(kSecond, 3)});
  const auto size_of = [&](const model::LedgerId& ledger, trust::FreshnessState freshness) {
    session.report(ledger, 3, wire::CommitState::kActive, freshness);
    session.to_server = session.client->take_output(1 << 20);
    const size_t bytes = session.to_server.size();
    session.client_speaks();
    CHECK(session.reported.back().ledger == ledger);
    CHECK(session.reported.back().freshness == freshness);
    return bytes;
  };
  CHECK(size_of(kFirst, trust::FreshnessState::kUntracked) == 6);
  CHECK(size_of(kFirst, trust::FreshnessState::kFresh) == 8);
  CHECK(size_of(kFirst, trust::FreshnessState::kFresh) == 6);
  CHECK(size_of(kSecond, trust::FreshnessState::kFresh) == 10);
  CHECK(size_of(kSecond, trust::FreshnessState::kUntracked) == 10);
  CHECK(size_of(kFirst, trust::FreshnessState::kFresh) == 6);
  session.client->want({want(kFirst, 3)});
  CHECK(size_of(kFirst, trust::FreshnessState::kFresh) > 6);  // it includes the want
  CHECK(size_of(kFirst, trust::FreshnessState::kFresh) == 6);
  CHECK(size_of(kFirst, trust::FreshnessState::kUntracked) == 8);
  // A client may name the ledger, and omit the same fields.
  wire::Commit commit;
  commit.ledger = kFirst;
  commit.version = 3;
  commit.freshness = trust::FreshnessState::kStale;
  CHECK(session.registry_answers(commit) == ErrorCode{});
  commit.freshness.reset();
  CHECK(session.registry_answers(commit) == ErrorCode{});
  CHECK(session.reported.back().freshness == trust::FreshnessState::kStale);
}

TEST_CASE("a number that no want has is an error of the peer, at both ends") {
  wire::Offer offer;
  offer.version = 4;
  offer.size = 10;
  offer.subscription = 2;
  Session one;
  one.start({want(kFirst, 3), want(kSecond, 3)});
  CHECK(one.client_answers(offer) == ErrorCode::kState);
  Session none;
  none.start({});
  offer.subscription = 0;
  CHECK(none.client_answers(offer) == ErrorCode::kState);

  wire::Commit commit;
  commit.version = 3;
  commit.subscription = 2;
  Session other;
  other.start({want(kFirst, 3), want(kSecond, 3)});
  CHECK(other.registry_answers(commit) == ErrorCode::kState);
  Session never;
  never.start({});
  commit.subscription = 0;
  CHECK(never.registry_answers(commit) == ErrorCode::kState);
}

TEST_CASE("an offer that goes on where another session was cut says which artifact it is") {
  const Hash artifact =
      delta::artifact_id(hash_of(kFirst, 2, "release"), hash_of(kFirst, 3, "release"));
  session::PartialArtifact partial;
  partial.offer.ledger = kFirst;
  partial.offer.artifact = artifact;
  partial.bytes = "payments 2";
  wire::Want cut = want(kFirst, 2);
  cut.resume = wire::ResumeToken{artifact, partial.bytes.size()};
  Session session;
  session.start({want(kSecond, 3), cut}, {partial});
  REQUIRE(session.sent.size() == 1);
  CHECK(session.sent[0].is_short());
  CHECK(session.sent[0].subscription == 1);
  CHECK(session.sent[0].artifact == artifact);
  CHECK(session.sent[0].offset == partial.bytes.size());
  REQUIRE(session.arrived.size() == 1);
  check_meant(session.arrived[0]);

  // Another artifact does not resume anything.
  cut.resume->artifact = sha256("another");
  Session whole;
  whole.start({cut}, {partial});
  REQUIRE(whole.sent.size() == 1);
  CHECK(whole.sent[0].artifact.is_zero());
  CHECK(whole.sent[0].offset == 0);
  check_meant(whole.arrived.at(0));
}

TEST_CASE("an offer that names its ledger is taken on every session that wants it") {
  wire::Offer offer;
  offer.ledger = kFirst;
  offer.version = 4;
  offer.base = base_of(kFirst, 3);
  offer.artifact = sha256("artifact");
  offer.size = 1;
  Session session;
  session.start({want(kFirst, 3)});
  CHECK(session.client_answers(offer) == ErrorCode{});
  session.client_answers(wire::Chunk{0, "x"});
  REQUIRE(session.arrived.size() == 1);
  CHECK(session.arrived[0].offer.base == offer.base);
  CHECK(session.arrived[0].offer.artifact == offer.artifact);
}

TEST_CASE("streams have the lowest number that is free") {
  Session session;
  session.start({want(kFirst, 3), want(kSecond, 3)});
  for (int i = 0; i < 300; ++i) {
    session.publish(kFirst);
    session.registry_speaks();
    session.report(kFirst, session.registry.heads.at(kFirst));
    session.settle();
    CHECK(session.sent.back().stream == 0);
  }
  CHECK(session.arrived.size() == 300);
  // Two artifacts in flight at once differ.
  ++session.registry.heads[kSecond];
  session.server.target_changed(kSecond);
  session.publish(kFirst);
  session.registry_works();
  CHECK(session.sent.at(300).stream == 0);
  CHECK(session.sent.at(301).stream == 1);
}

}  // namespace
}  // namespace notp
