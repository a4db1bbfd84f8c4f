// Token lanes at both ends of a session: what reaches the hosts, in which order statements go, and
// what has no place.
#include <doctest/doctest.h>

#include "protocol/session/client/client_session.hpp"
#include "protocol/wire/lane_limits.hpp"
#include "tests/support/registry/served_session.hpp"
#include "tests/support/wire/lane_samples.hpp"

namespace notp::session {
namespace {

wire::LaneStatement statement(const feed::Batch& batch) {
  return {feed::seal(feed::StatementType::kBatch, batch.encode(), samples::lane_key())};
}

model::Content frame(const feed::Batch& batch) {
  return std::make_shared<const Bytes>(wire::encode_frame(statement(batch)));
}

model::Content snapshot_frame() {
  return std::make_shared<const Bytes>(wire::encode_frame(wire::LaneStatement{feed::seal(
      feed::StatementType::kSnapshot, samples::lane_snapshot().encode(), samples::lane_key())}));
}

const wire::LaneState kGranted{
    .lane = "login", .instance = samples::lane_instance(), .grant = 1, .head = 42};

// A welcomed node.
struct Client {
  ClientSession session{{{wire::kProtocolVersion}, "test", 1, 0, {}}, {}, kStart};

  Client() {
    wire::Welcome welcome;
    welcome.trust_domain = std::string(samples::kDomain);
    tell(welcome);
    session.take_output(1 << 20);
    session.take_events();
  }
  void tell(const wire::Message& message) { session.receive(wire::encode_frame(message), kStart); }
  std::optional<ErrorCode> error() {
    const auto errors = all_of<wire::ErrorMessage>(messages_in(session.take_output(1 << 20)));
    return errors.empty() ? std::nullopt : std::optional(errors[0].code);
  }
};

}  // namespace

TEST_CASE("lanes: subscriptions, questions and reports of a node reach the host") {
  Served served;
  served.subscribe({});
  served.events.clear();
  wire::LaneSubscribe subscribe{.lane = "login",
                                .mode = wire::LaneMode::kAsk,
                                .position = wire::LanePosition{samples::lane_instance(), 1, 40},
                                .snapshot = true,
                                .after = feed::key_of(samples::deleted_token())};
  CHECK(served.after(subscribe).empty());
  CHECK(served.after(wire::LaneAsk{{feed::token_id("one"), feed::token_id("two")}}).empty());
  CHECK(served.after(wire::LaneApplied{42, wire::LaneAge::kStale, 7}).empty());
  REQUIRE(served.events.size() == 3);
  CHECK(std::get<server_event::LaneSubscribed>(served.events[0]).subscribe == subscribe);
  CHECK(std::get<server_event::LaneAsked>(served.events[1]).ask.ids.size() == 2);
  const auto& applied = std::get<server_event::LaneAppliedArrived>(served.events[2]).applied;
  CHECK(applied.revision == 42);
  CHECK(applied.age == wire::LaneAge::kStale);
  CHECK(applied.tokens == 7);
}

TEST_CASE("lanes: the state goes before batches, and batches before snapshots") {
  Served served;
  served.subscribe({});
  served.session.lane_statement(snapshot_frame(), /*bulk=*/true);
  served.session.lane_statement(frame(samples::lane_batch()), /*bulk=*/false);
  served.session.lane_state(kGranted);
  CHECK(served.session.lane_unsent() ==
        snapshot_frame()->size() + frame(samples::lane_batch())->size());
  const auto first = messages_in(served.session.take_output(1));
  REQUIRE(first.size() == 1);
  CHECK(std::get<wire::LaneState>(first[0]) == kGranted);
  const auto second = messages_in(served.session.take_output(1));
  REQUIRE(second.size() == 1);
  CHECK(std::get<wire::LaneStatement>(second[0]).statement.type == feed::StatementType::kBatch);
  CHECK(served.session.lane_unsent() == snapshot_frame()->size());
  const auto third = messages_in(served.session.take_output(1));
  REQUIRE(third.size() == 1);
  CHECK(std::get<wire::LaneStatement>(third[0]).statement.type == feed::StatementType::kSnapshot);
  CHECK(served.session.lane_unsent() == 0);
}

TEST_CASE("lanes: what a node is behind with is dropped whole") {
  Served served;
  served.subscribe({});
  for (int i = 0; i < 100; ++i) served.session.lane_statement(frame(samples::heartbeat()), false);
  served.session.lane_statement(snapshot_frame(), true);
  const auto some = messages_in(served.session.take_output(300));
  CHECK(some.size() >= 1);
  served.session.drop_lane();
  CHECK(served.session.lane_unsent() == 0);
  served.session.lane_statement(frame(samples::lane_batch()), false);
  const auto rest = served.output();
  REQUIRE(rest.size() == 1);
  const auto body = feed::open(std::get<wire::LaneStatement>(rest[0]).statement,
                               samples::lane_key().public_key());
  REQUIRE(body);
  CHECK(feed::Batch::decode(*body) == samples::lane_batch());
}

TEST_CASE("lanes: a session that ends sends no more statements") {
  Served served;
  served.subscribe({});
  served.session.lane_statement(frame(samples::lane_batch()), false);
  served.session.say_bye("over");
  served.session.lane_statement(frame(samples::lane_batch()), false);
  const auto last = messages_in(served.session.take_output(1 << 20));
  REQUIRE(last.size() == 1);
  CHECK(std::holds_alternative<wire::Bye>(last[0]));
}

TEST_CASE("lanes: a node follows a lane, and gets its state and statements") {
  Client client;
  client.session.lane_subscribe({.lane = "login"});
  client.session.lane_ask({{feed::token_id("one")}});
  client.session.lane_applied({42, wire::LaneAge::kLive, 1});
  const auto said = messages_in(client.session.take_output(1 << 20));
  REQUIRE(said.size() == 3);
  CHECK(std::get<wire::LaneSubscribe>(said[0]).lane == "login");
  client.tell(kGranted);
  client.tell(statement(samples::lane_batch()));
  const auto events = client.session.take_events();
  REQUIRE(events.size() == 2);
  CHECK(std::get<client_event::LaneStateArrived>(events[0]).state == kGranted);
  CHECK(std::get<client_event::LaneStatementArrived>(events[1]).statement ==
        statement(samples::lane_batch()).statement);
}

TEST_CASE("lanes: what a node did not ask for ends the session with STATE") {
  SUBCASE("a state of no lane") {
    Client client;
    client.tell(kGranted);
    CHECK(client.error() == ErrorCode::kState);
  }
  SUBCASE("a state of another lane") {
    Client client;
    client.session.lane_subscribe({.lane = "partners"});
    client.session.take_output(1 << 20);
    client.tell(kGranted);
    CHECK(client.error() == ErrorCode::kState);
  }
  SUBCASE("a statement without a lane") {
    Client client;
    client.tell(statement(samples::lane_batch()));
    CHECK(client.error() == ErrorCode::kState);
  }
  SUBCASE("a subscription, to a node") {
    Client client;
    client.tell(wire::LaneSubscribe{.lane = "login"});
    CHECK(client.error() == ErrorCode::kState);
  }
  SUBCASE("a statement, to a registry") {
    Served served;
    served.subscribe({});
    const auto said = served.after(statement(samples::lane_batch()));
    REQUIRE(!said.empty());
    CHECK(std::get<wire::ErrorMessage>(said.back()).code == ErrorCode::kState);
  }
}

}  // namespace notp::session
