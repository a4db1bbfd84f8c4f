// Sessions whose peer has no complete release: inventories, and the missing content.
#include <doctest/doctest.h>

#include "common/limits.hpp"
#include "protocol/session/client/client_session.hpp"
#include "protocol/session/server/server_session.hpp"
#include "tests/support/registry/prepared_artifact.hpp"
#include "tests/support/wire/wire_messages.hpp"

namespace notp {
namespace {

const model::LedgerId kLedger{273165098782, "payments"};
constexpr Now kNow{1'000, 1'000};

Hash hash_of(uint64_t version, std::string_view what) {
  return sha256(std::string(what) + std::to_string(version));
}
wire::Base base_of(uint64_t version) { return {version, hash_of(version, "content")}; }

// Has releases 1 to 3 of one ledger.
struct Registry final : session::Catalog, session::TargetSource, session::SessionRights {
  std::optional<trust::ReleaseRef> target(const model::LedgerId& ledger,
                                          std::string_view) const override {
    return release(ledger, 3);
  }
  std::optional<trust::ReleaseRef> release(const model::LedgerId& ledger,
                                           uint64_t version) const override {
    if (version == 0 || version > 3) return std::nullopt;
    return trust::ReleaseRef{ledger, 1, version, hash_of(version, "release"),
                             base_of(version).content_root};
  }
  std::optional<trust::ReleaseRef> newest(const model::LedgerId& ledger) const override {
    return release(ledger, 3);
  }
  std::optional<trust::ReleaseRef> pending(const model::LedgerId&, uint64_t,
                                           const Hash&) const override {
    return std::nullopt;
  }
  std::vector<session::CatalogRoot> roots_after(uint64_t) const override { return {}; }
  uint64_t newest_root() const override { return 1; }
  Result<void> may(wire::Action, const model::LedgerId*) const override {
    return allowed ? Result<void>{} : fail(ErrorCode::kDenied, "no right");
  }
  bool allowed = true;
};

wire::Want foreign_want() {
  wire::Want want;
  want.ledger = kLedger;
  want.base = wire::Base{7, hash_of(7, "another registry's")};
  return want;
}

delta::Inventory some_inventory() {
  model::Files files;
  files["a.rego"] = {hash_of(1, "a"), 1};
  files["b.rego"] = {hash_of(2, "b"), 1};
  return delta::take_inventory(model::Tree::make(std::move(files)).value(), {},
                               delta::InventoryForm::kListed);
}

wire::Inventory told(const delta::Inventory& inventory, uint32_t subscription = 0) {
  return {subscription, inventory.files, inventory.list, inventory.sketch};
}

struct Served {
  Registry registry;
  session::ServerSession session{
      {registry, registry, registry}, {"test", "core-platform.internal", "peer"}, kNow};
  std::vector<session::server_event::ArtifactNeeded> needs;
  std::optional<Error> end;

  std::vector<wire::Message> hear(const wire::Message& message) {
    session.receive(wire::encode_frame(message), kNow);
    return output();
  }
  std::vector<wire::Message> output() {
    for (session::ServerEvent& event : session.take_events()) {
      if (auto* need = std::get_if<session::server_event::ArtifactNeeded>(&event))
        needs.push_back(std::move(*need));
      if (auto* closed = std::get_if<session::server_event::Closed>(&event)) end = closed->error;
    }
    return messages_in(session.take_output(1 << 20));
  }
  std::vector<wire::Message> greet(std::vector<wire::Want> wants) {
    return hear(wire::Hello{{1}, "test", 1, 0, std::move(wants)});
  }
};

}  // namespace

TEST_CASE(
    "an unknown base is asked about after Welcome, and nothing is offered before the answer") {
  Served served;
  const auto said = served.greet({foreign_want()});
  REQUIRE(said.size() == 2);
  CHECK(std::holds_alternative<wire::Welcome>(said[0]));
  const auto& request = std::get<wire::InventoryRequest>(said[1]);
  CHECK(request.subscription == 0);
  CHECK_FALSE(request.listed);
  served.session.target_changed(kLedger);
  served.output();
  CHECK(served.needs.empty());

  served.hear(told(some_inventory()));
  REQUIRE(served.needs.size() == 1);
  const session::server_event::ArtifactNeeded need = served.needs[0];
  CHECK(need.base_version == 0);
  CHECK(need.version == 3);
  CHECK(need.inventory == some_inventory());

  session::PreparedArtifact artifact = prepared_artifact(served.registry, need, "bytes");
  artifact.partial = wire::PartialBase{hash_of(1, "part"), Bytes(wire::kLeafBytes, 'x')};
  served.session.artifact_ready(need.ticket, artifact);
  const auto offered = served.output();
  REQUIRE(offered.size() == 2);
  const auto& offer = std::get<wire::Offer>(offered[0]);
  CHECK(offer.ledger == kLedger);
  CHECK_FALSE(offer.base);
  REQUIRE(offer.partial);
  CHECK(offer.partial->content_root == hash_of(1, "part"));
  CHECK(offer.partial->excluded_leaves == artifact.partial->excluded_leaves);
}

TEST_CASE("a sketch that cannot be read is asked for once more, listed") {
  Served served;
  served.greet({foreign_want()});
  served.hear(told(some_inventory()));
  served.session.inventory_unclear(served.needs.at(0).ticket);
  const auto said = served.output();
  REQUIRE(said.size() == 1);
  CHECK(std::get<wire::InventoryRequest>(said[0]).listed);
  SUBCASE("and comes so") {
    served.hear(told(some_inventory()));
    CHECK(served.needs.size() == 2);
  }
  SUBCASE("and comes as a sketch again") {
    served.hear(wire::Inventory{0, 30'000, {}, Bytes(delta::kSketchBytes, '\0')});
    REQUIRE(served.end);
    CHECK(served.end->code == ErrorCode::kState);
  }
}

TEST_CASE("who may not read the ledger any more gets nothing for an inventory") {
  Served served;
  served.greet({foreign_want()});
  served.registry.allowed = false;
  served.hear(told(some_inventory()));
  CHECK(served.needs.empty());
  CHECK_FALSE(served.end);
}

TEST_CASE(
    "an inventory that crosses a new want is dropped, and one of another form ends the session") {
  Served served;
  wire::Want whole;
  whole.ledger = kLedger;
  served.greet({foreign_want()});
  served.hear(wire::WantMore{{whole}});
  REQUIRE(served.needs.size() == 1);
  served.hear(told(some_inventory()));
  CHECK(served.needs.size() == 1);
  CHECK_FALSE(served.end);

  SUBCASE("of a ledger that nobody wanted") {
    served.hear(told(some_inventory(), 1));
    REQUIRE(served.end);
    CHECK(served.end->code == ErrorCode::kState);
  }
  SUBCASE("out of order") {
    delta::Inventory odd = some_inventory();
    odd.list = odd.list.substr(8) + odd.list.substr(0, 8);
    served.hear(told(odd));
    REQUIRE(served.end);
    CHECK(served.end->code == ErrorCode::kMessage);
  }
}

TEST_CASE("what is lacking is wanted even where nothing is new, and once") {
  Served served;
  wire::Want want;
  want.ledger = kLedger;
  want.base = base_of(3);
  want.missing_blobs = {hash_of(1, "damaged")};
  const auto said = served.greet({want});
  REQUIRE(said.size() == 1);
  CHECK(std::get<wire::Welcome>(said[0]).heads.empty());
  REQUIRE(served.needs.size() == 1);
  CHECK(served.needs[0].base_version == 3);
  CHECK(served.needs[0].version == 3);
  CHECK(served.needs[0].missing_blobs == std::set<Hash>{hash_of(1, "damaged")});
  session::PreparedArtifact artifact = prepared_artifact(served.registry, served.needs[0], "bytes");
  artifact.partial = wire::PartialBase{hash_of(1, "part"), {}};
  served.session.artifact_ready(served.needs[0].ticket, artifact);
  const auto offered = served.output();
  const auto& offer = std::get<wire::Offer>(offered.at(0));
  REQUIRE(offer.base);
  CHECK(offer.base->version == 3);
  CHECK(offer.partial);

  wire::Commit commit;
  commit.ledger = kLedger;
  commit.version = 3;
  commit.state = wire::CommitState::kActive;
  served.hear(commit);
  CHECK(served.needs.size() == 1);
}

TEST_CASE("messages that come at once are handled in parts, in their order, and none is lost") {
  Served served;
  served.greet({});
  Bytes said;
  constexpr uint64_t kMessages = 1'000;
  for (uint64_t kind = 1; kind <= kMessages; ++kind)
    said += wire::encode_frame(wire::LaneApplied{.revision = kind, .tokens = 0});
  said.pop_back();  // the last one is not whole
  size_t parts = 1;
  std::vector<uint64_t> handled;
  const auto take = [&] {
    size_t count = 0;
    for (const session::ServerEvent& event : served.session.take_events())
      if (const auto* applied = std::get_if<session::server_event::LaneAppliedArrived>(&event)) {
        handled.push_back(applied->applied.revision);
        ++count;
      }
    CHECK(count <= 128);
  };
  bool has_more = served.session.receive_part(said, kNow);
  take();
  for (; has_more; ++parts) {
    has_more = served.session.receive_part({}, kNow);
    take();
  }
  CHECK(parts == (kMessages - 1) / 128 + 1);
  REQUIRE(handled.size() == kMessages - 1);
  CHECK(std::ranges::is_sorted(handled));
}

TEST_CASE("Pings are answered, and a flood of them ends the session before it is read") {
  constexpr size_t kAtOnce = 64;
  const auto pings = [](size_t count) {
    Bytes out;
    for (uint64_t nonce = 1; nonce <= count; ++nonce) out += wire::encode_frame(wire::Ping{nonce});
    return out;
  };
  Served served;
  served.greet({});
  for (int read = 0; read < 3; ++read) {
    served.session.receive(pings(kAtOnce), kNow);
    CHECK(served.output().size() == kAtOnce);
  }
  CHECK_FALSE(served.session.is_closed());
  served.session.receive(pings(100'000), kNow);
  CHECK(served.session.is_closed());
  const auto answers = served.output();
  CHECK(answers.size() == kAtOnce + 1);
  REQUIRE(served.end.has_value());
  CHECK(served.end->code == ErrorCode::kLimit);
}

TEST_CASE("a client takes so many inventories of a ledger in a session, and no more") {
  wire::Want want;
  want.ledger = kLedger;
  session::ClientSession client(wire::Hello{{1}, "test", 1, 0, {want}}, {}, kNow);
  wire::Welcome welcome;
  welcome.server = "test";
  welcome.trust_domain = "core-platform.internal";
  client.receive(wire::encode_frame(welcome), kNow);
  for (size_t i = 0; i < limits::kInventoriesMax; ++i)
    client.receive(wire::encode_frame(wire::InventoryRequest{0, i % 2 == 1}), kNow);
  size_t asked = 0;
  for (const session::ClientEvent& event : client.take_events())
    asked += std::holds_alternative<session::client_event::InventoryWanted>(event);
  CHECK(asked == limits::kInventoriesMax);
  CHECK_FALSE(client.is_closed());
  client.receive(wire::encode_frame(wire::InventoryRequest{0, false}), kNow);
  CHECK(client.is_closed());
}

}  // namespace notp
