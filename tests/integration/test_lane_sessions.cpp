// A token lane of a registry over real sessions: TLS, snapshots, batches, revocations, nodes that
// come back and nodes that do not read.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <future>
#include <map>
#include <thread>

#include "common/random.hpp"
#include "common/storage/files.hpp"
#include "notp-server/lane/intake_rules.hpp"
#include "notp-server/lane/lane_limits.hpp"
#include "notp-server/lane/lanes.hpp"
#include "notp-server/lane/sqlite_event_store.hpp"
#include "protocol/session/client/client_session.hpp"
#include "tests/support/registry/bare_server.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/pumped_session.hpp"

namespace notp {
namespace {

using bare::Server;
using feed::EventKey;
using feed::EventKind;
using lane::IncomingEvent;

constexpr TimeMs kSecondMs = 1'000;
constexpr int64_t kLifeS = 7'200;

int64_t now_s() { return read_clock().wall_ms / kSecondMs; }

IncomingEvent added(const std::string& token) {
  return {.key = {},
          .what = lane::TokenAdded{.id = feed::token_id(token),
                                   .attributes = {{"sub", "s-" + token}, {"exp", now_s() + 600}}}};
}

lane::LanesConfig config_of(const std::filesystem::path& folder) {
  lane::LanesConfig out;
  out.key = folder / "lane.key";
  REQUIRE(write_file(out.key, PrivateKey::from_seed({9}).to_pem(), 0600));
  lane::RegistryLaneConfig lane{
      .name = "tokens",
      .terms = {.hard_s = 900, .serves = false, .life_s = kLifeS},
      .rules = {.life_max_s = kLifeS, .attributes = lane::Attributes::all(), .tokens_max = 100'000},
      .grants = {},
      .source_rate = 100'000};
  lane::Grant grant;
  grant.nodes.push_back(must(session::IdentityPattern::parse("node/edge-*", kTestDomain)));
  grant.attributes = lane::Attributes::all();
  lane.grants.push_back(grant);
  out.lanes.push_back(std::move(lane));
  return out;
}

struct Site {
  TemporaryFolder folder;
  lane::LanesConfig config = config_of(folder.path());
  std::unique_ptr<lane::Lanes> lanes;
  std::unique_ptr<Server> server;

  void start() {
    lanes = must(lane::Lanes::open(
        config, {.trust_domain = std::string(kTestDomain), .data_dir = folder.path()}));
    server = std::make_unique<Server>(nullptr, nullptr, lanes.get());
    lanes->start(server->server);
  }
  ~Site() {
    if (lanes) lanes->stop();
    server.reset();
  }
  lane::LaneHost& host() const { return *lanes->find("tokens"); }
  uint64_t take(std::vector<IncomingEvent> events) const {
    std::promise<Result<lane::IntakeOutcome>> done;
    host().take("test", std::move(events),
                [&](auto outcome) { done.set_value(std::move(outcome)); });
    const auto outcome = must(done.get_future().get());
    for (const auto& refused : outcome.refused) CHECK(!refused);
    return outcome.revision;
  }
  uint64_t head() const { return host().progress(0).revision; }
};

// Keeps what the lane says, as a node does, and calls `step` after each statement and state.
struct Node {
  std::string name = "edge-1";
  std::optional<wire::LanePosition> at;
  std::map<EventKey, feed::Event> rows;
  std::vector<wire::LaneState> told;
  size_t pages = 0, batches = 0;
  bool is_whole = false;  // no page of the snapshot is missing
  std::function<void(Node&)> step;

  std::optional<session::ClientSession> session;
  std::optional<transport::Wake> wake;
  Loop loop;

  void on_event(session::client_event::LaneStateArrived& event) {
    told.push_back(event.state);
    step(*this);
  }
  void on_event(session::client_event::LaneStatementArrived& event) {
    const Bytes body = must(feed::open(event.statement, PrivateKey::from_seed({9}).public_key()));
    if (event.statement.type == feed::StatementType::kSnapshot)
      on(must(feed::Snapshot::decode(body)));
    else
      on(must(feed::Batch::decode(body)));
    step(*this);
  }
  void on_event(auto&) {}
  void on(const feed::Snapshot& page) {
    ++pages;
    if (!page.after) at = {page.header.instance, page.header.grant, page.as_of};
    for (const feed::Event& row : page.rows) rows.emplace(key_of(row), row);
    is_whole = !page.last;
  }
  void on(const feed::Batch& batch) {
    ++batches;
    REQUIRE(at);
    CHECK(batch.from <= at->revision);
    for (const feed::Event& event : batch.events) {
      if (event.kind == EventKind::kDeleted) rows.erase({EventKind::kToken, event.id});
      rows[key_of(event)] = event;
    }
    at->revision = std::max(at->revision, batch.to);
  }
  size_t tokens() const {
    return static_cast<size_t>(std::ranges::count_if(
        rows, [](const auto& entry) { return entry.first.kind == EventKind::kToken; }));
  }

  asio::awaitable<void> talk(const Server& server, ContextPtr tls) {
    auto connection = must(co_await transport::connect(server.address, tls, kPatienceMs));
    session.emplace(wire::Hello{{wire::kProtocolVersion}, "test", 1, 0, {}},
                    std::vector<session::PartialArtifact>{}, read_clock());
    session->lane_subscribe({.lane = "tokens", .position = at});
    wake.emplace();
    co_await pump_events(*connection, *session, *wake, [this](auto& e) { on_event(e); });
  }
  // Until `step` says Bye.
  void follow(Site& site, std::function<void(Node&)> what) {
    step = std::move(what);
    told.clear();
    pages = batches = 0;
    loop.spawn(talk(*site.server, context(site.server->pki.node(name), transport::Side::kClient)));
    loop.run();
  }
  void leave() { session->say_bye("done"); }
};

}  // namespace

TEST_CASE(
    "a node gets a snapshot in pages, then what is new at once; a revocation counts its nodes") {
  Site site;
  site.start();
  std::vector<IncomingEvent> events;
  for (int i = 0; i < 4'096; ++i) events.push_back(added(fmt::format("a{}", i)));
  site.take(events);
  for (IncomingEvent& event : events)
    event = added(std::get<lane::TokenAdded>(event.what).id.hex());
  site.take(events);

  Node node;
  int phase = 0;
  uint64_t revision = 0;
  node.follow(site, [&](Node& one) {
    if (phase == 0 && one.is_whole) {
      CHECK(one.tokens() == 8'192);
      phase = 1;
      // From another thread: this one belongs to the session.
      std::async(std::launch::async, [&] {
        const auto change = must(site.lanes->revoke(
            {.lane = "tokens", .id = feed::token_id("a7"), .mark = {}}, read_clock().wall_ms));
        revision = change.revision;
        CHECK(change.nodes == 1);
        CHECK(change.applied == 0);
      }).get();
    }
    if (phase == 1 && one.at->revision >= revision && revision != 0) {
      CHECK(!one.rows.contains({EventKind::kToken, feed::token_id("a7")}));
      CHECK(one.rows.contains({EventKind::kDeleted, feed::token_id("a7")}));
      phase = 2;
      one.session->lane_applied({.revision = revision, .tokens = one.tokens()});
      one.wake->notify();
      std::thread([&site, &one, revision] {
        while (must(site.lanes->revoke(
                        {.lane = "tokens", .id = {}, .mark = {}, .revision = revision}, 0))
                   .applied == 0)
          std::this_thread::yield();
        asio::post(one.loop.io, [&one] {
          one.leave();
          one.wake->notify();
        });
      }).detach();
    }
  });
  CHECK(phase == 2);
  CHECK(node.pages >= 2);
  CHECK(node.told.front().code == 0);

  // It comes back and goes on by revision.
  site.take({added("new")});
  node.follow(site, [](Node& one) {
    if (one.rows.contains({EventKind::kToken, feed::token_id("new")})) one.leave();
  });
  CHECK(node.pages == 0);
  CHECK(node.batches == 1);
  const auto shown = must(site.lanes->show({.lane = "tokens", .id = feed::token_id("new")}));
  CHECK(shown.state == wire::TokenState::kAlive);
  CHECK(shown.source == "test");
  CHECK(shown.attributes.contains("s-new"));
}

TEST_CASE("a node that was away for longer than the history gets a snapshot") {
  Site site;
  wire::LanePosition old;
  {
    // Two days ago a token was added, and revoked.
    SystemRandom random;
    std::filesystem::create_directory(site.folder.path() / lane::kLanesFolder);
    const auto store = must(lane::SqliteEventStore::open(
        site.folder.path() / lane::kLanesFolder / "tokens.db", random));
    const lane::IntakeRules rules(site.config.lanes[0].rules);
    const int64_t then_s = now_s() - 2 * 86'400;
    const feed::TokenId id = feed::token_id("old");
    REQUIRE(store->begin());
    must(rules.apply("test", {{}, lane::TokenAdded{id, {{"exp", then_s + 600}}}}, then_s, *store));
    must(rules.apply("test", {{}, lane::TokenDeleted{id}}, then_s, *store));
    REQUIRE(store->commit());
    old = {store->state().instance, 0, 1};
  }
  site.start();
  site.take({added("new")});
  Node node;
  node.follow(site, [](Node& one) {
    if (one.is_whole) one.leave();
  });
  REQUIRE(node.told.size() == 1);
  old.grant = node.told[0].grant;
  Node late;
  late.at = old;
  late.rows[{EventKind::kToken, feed::token_id("old")}] = {};
  late.follow(site, [](Node& one) {
    if (one.is_whole) one.leave();
  });
  CHECK(late.pages == 1);
  CHECK(late.at->revision == 3);
}

TEST_CASE("a node that does not read is told so, and gets what it has missed") {
  Site site;
  site.start();
  Node node;
  int phase = 0;
  constexpr int kLists = 48;
  node.follow(site, [&](Node& one) {
    if (phase == 0 && one.is_whole) {
      phase = 1;
      // More than sockets hold. This thread does not read meanwhile.
      std::async(std::launch::async, [&] {
        SeededRandom random(1);
        for (int i = 0; i < kLists; ++i) {
          Bytes noise(400'000, '\0');
          for (char& byte : noise) byte = static_cast<char>(random.next_u64());
          site.take(
              {{{}, lane::ListFetched{fmt::format("https://l/{}", i), 1, noise, now_s() + 600}}});
        }
        while (site.lanes->page("tokens").rows.at(0).too_slow == 0) std::this_thread::yield();
      }).get();
    }
    if (phase == 1 && one.at->revision >= kLists) {
      phase = 2;
      one.leave();
    }
  });
  CHECK(phase == 2);
  CHECK(std::ranges::any_of(node.told, &wire::LaneState::too_slow));
  CHECK(!node.told.back().too_slow);
  CHECK(node.rows.size() == kLists);
}

TEST_CASE("a node that no grant covers, and a lane that is not there, are refused") {
  Site site;
  site.start();
  Node node;
  node.name = "other";
  node.follow(site, [](Node& one) { one.leave(); });
  REQUIRE(node.told.size() == 1);
  CHECK(node.told[0].code == static_cast<uint32_t>(ErrorCode::kDenied));
  CHECK(site.lanes->revoke({.lane = "no", .id = feed::token_id("x"), .mark = {}}, 0).error().code ==
        ErrorCode::kNotFound);
}

}  // namespace notp
