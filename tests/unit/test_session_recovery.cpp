// A registry that has lost releases asks its nodes for them: what both ends of a session say, and
// what each refuses of the other.
#include <doctest/doctest.h>

#include "common/limits.hpp"
#include "protocol/session/client/client_session.hpp"
#include "protocol/session/server/session_limits.hpp"
#include "tests/support/registry/served_session.hpp"

namespace notp::session {
namespace {

constexpr uint64_t kRequest = 5;

wire::HeldRequest held_request(const model::LedgerId& ledger = samples::kLedger) {
  return {ledger, 3, 1};
}

wire::ReturnRequest return_request(uint64_t base = 3) {
  return {kRequest, samples::kLedger, 4, sha256("release 4"), base};
}

wire::Return returned(uint64_t size, uint32_t stream = 1) {
  return {
      .request = kRequest, .base = {}, .size = size, .stream = stream, .code = 0, .message = {}};
}

wire::Return refusal(ErrorCode code) {
  wire::Return out = returned(0);
  out.code = static_cast<uint32_t>(code);
  out.message = "refused";
  return out;
}

wire::Held held(size_t envelopes = 1, size_t bytes = 100) {
  return {samples::kLedger, std::vector<Bytes>(envelopes, Bytes(bytes, 'e')), {}, {}};
}

// A limited space: refuses after so many bytes, or at once.
struct ScarceSpace final : UploadSpace {
  uint64_t bytes_max = 0;
  size_t open_now = 0;

  struct Place final : Upload {
    ScarceSpace& space;
    Bytes bytes;
    explicit Place(ScarceSpace& of) : space(of) { ++space.open_now; }
    ~Place() override { --space.open_now; }
    Result<void> append(ByteView more) override {
      if (bytes.size() + more.size() > space.bytes_max) return fail(ErrorCode::kIo, "disk full");
      bytes.append(more);
      return {};
    }
    Result<Bytes> take() override { return std::exchange(bytes, {}); }
  };
  Result<std::unique_ptr<Upload>> open(const std::string&, uint64_t) override {
    if (bytes_max == 0) return fail(ErrorCode::kOverloaded, "no room");
    return std::make_unique<Place>(*this);
  }
};

// The registry's end; its node holds v47 of a ledger whose head is v3.
struct Site : Served {
  static wire::Want want(uint64_t version, const model::LedgerId& ledger = samples::kLedger) {
    wire::Want out;
    out.ledger = ledger;
    if (version != 0)
      out.base = wire::Base{version, sha256("content of " + std::to_string(version))};
    return out;
  }
  std::vector<wire::Message> greet(std::vector<wire::Want> wants, uint64_t root = 1) {
    return after(wire::Hello{{wire::kProtocolVersion}, "test", root, 0, std::move(wants)});
  }
  std::vector<wire::Message> greet() { return greet({want(47)}); }
  void ask(uint64_t base = 3) {
    REQUIRE(session.ask_return(return_request(base), now));
    CHECK(all_of<wire::ReturnRequest>(output()).size() == 1);
  }
  template <typename T>
  std::vector<T> take() {
    std::vector<T> out;
    for (ServerEvent& event : events)
      if (auto* one = std::get_if<T>(&event)) out.push_back(std::move(*one));
    std::erase_if(events, [](const ServerEvent& e) { return std::holds_alternative<T>(e); });
    return out;
  }
  ErrorCode ended_with() {
    output();
    const auto closed = take<server_event::Closed>();
    return closed.empty() ? ErrorCode{} : closed.front().error.code;
  }
};

ErrorCode code_of(const server_event::ReturnArrived& arrived) {
  return error_code_from_wire(arrived.head.code);
}

// The node's end, which wants the ledger.
struct Asked {
  ClientSession session;
  Asked() : session(hello(), {}, kStart) {
    session.take_output(1 << 20);
    tell(wire::Welcome{.version = wire::kProtocolVersion,
                       .server = "test",
                       .trust_domain = std::string(samples::kDomain),
                       .root_version = 1,
                       .heads = {},
                       .refusals = {}});
    session.take_events();
  }
  static wire::Hello hello() {
    wire::Hello out{{wire::kProtocolVersion}, "test", 1, 0, {}};
    out.wants.push_back(Site::want(47));
    return out;
  }
  void tell(const wire::Message& message) { session.receive(wire::encode_frame(message), kStart); }
  template <typename T>
  size_t events_of() {
    size_t count = 0;
    for (const ClientEvent& event : session.take_events())
      count += std::holds_alternative<T>(event);
    return count;
  }
  ErrorCode ended_with() {
    for (const ClientEvent& event : session.take_events())
      if (const auto* closed = std::get_if<client_event::Closed>(&event)) return closed->error.code;
    return ErrorCode{};
  }
};

}  // namespace

// --- what a node names

TEST_CASE("a node that names a release or a root above the registry's is reported, and only then") {
  struct Case {
    std::string_view why;
    std::vector<wire::Want> wants;
    uint64_t root;
    std::vector<uint64_t> held;  // of the reports
  };
  wire::Want older = Site::want(2);
  older.older = {*Site::want(9).base};
  wire::Want once = Site::want(47);
  once.version = 1;
  wire::Want heads = Site::want(47);
  heads.heads_only = true;
  const Case cases[] = {
      {"a release above", {Site::want(47)}, 1, {47}},
      {"one of several that it holds", {older}, 1, {9}},
      {"the head", {Site::want(3)}, 1, {}},
      {"nothing", {Site::want(0)}, 1, {}},
      {"a ledger without a release", {Site::want(1, kOther)}, 1, {1}},
      {"a root above", {Site::want(3)}, 2, {3}},
      {"a root above, reported once", {Site::want(3), Site::want(0, kOther)}, 2, {3}},
      {"both", {Site::want(3), Site::want(8, kOther)}, 2, {3, 8}},
      {"a release that is wanted once", {once}, 1, {}},
      {"a head", {heads}, 1, {}},
  };
  for (const Case& each : cases) {
    CAPTURE(each.why);
    Site site;
    site.greet(each.wants, each.root);
    std::vector<uint64_t> reported;
    for (const auto& more : site.take<server_event::HoldsMore>()) {
      reported.push_back(more.held_version);
      CHECK(more.root_version == each.root);
    }
    CHECK(reported == each.held);
  }
}

TEST_CASE("a want that is not granted reports nothing; a later one does") {
  Site site;
  site.registry.forbidden = {samples::kLedger};
  site.greet();
  CHECK(site.take<server_event::HoldsMore>().empty());
  site.registry.forbidden.clear();
  site.after(wire::WantMore{{Site::want(47)}});
  CHECK(site.take<server_event::HoldsMore>().size() == 1);
}

// --- Held

TEST_CASE("a Held is handed over once for each question") {
  Site site;
  site.greet();
  for (int i = 0; i < 2; ++i) REQUIRE(site.session.ask_held(held_request()));
  CHECK(all_of<wire::HeldRequest>(site.output()).size() == 2);
  site.after(held());
  site.after(held(0));
  auto arrived = site.take<server_event::HeldArrived>();
  REQUIRE(arrived.size() == 2);
  CHECK(arrived[0].held.releases.size() == 1);
  CHECK(arrived[1].held.releases.empty());
  site.after(held());
  CHECK(site.ended_with() == ErrorCode::kState);
}

TEST_CASE("a Held that was not asked for, of another ledger, or too large ends the session") {
  Site unasked;
  unasked.greet();
  unasked.after(held());
  CHECK(unasked.ended_with() == ErrorCode::kState);

  Site other;
  other.greet({Site::want(47), Site::want(3, kOther)});
  REQUIRE(other.session.ask_held(held_request(kOther)));
  other.after(held());
  CHECK(other.ended_with() == ErrorCode::kState);

  Site large;
  large.greet();
  REQUIRE(large.session.ask_held(held_request()));
  large.after(held(9, 60'000));
  CHECK(large.ended_with() == ErrorCode::kLimit);
  CHECK(large.take<server_event::HeldArrived>().empty());
}

TEST_CASE("a registry asks no more often than its node answers, and only what the node wants") {
  Site site;
  site.greet();
  CHECK(site.session.ask_held(held_request(kOther)).error().code == ErrorCode::kState);
  for (size_t i = 0; i < limits::kHeldRequestsMax; ++i)
    REQUIRE(site.session.ask_held(held_request()));
  CHECK(site.session.ask_held(held_request()).error().code == ErrorCode::kLimit);
  site.session.on_cut(site.now);
  CHECK(site.session.ask_held(held_request()).error().code == ErrorCode::kState);
  CHECK(site.session.ask_return(return_request(), site.now).error().code == ErrorCode::kState);
}

// --- Return, at the registry

TEST_CASE("an artifact that was asked for arrives whole, with its base") {
  for (const bool from_base : {true, false}) {
    Site site;
    site.greet();
    site.ask();
    wire::Return head = returned(300'000);
    if (from_base) head.base = Site::want(3).base;
    site.after(head);
    site.after(wire::Chunk{1, Bytes(200'000, 'a')});
    CHECK(site.take<server_event::ReturnArrived>().empty());
    CHECK(site.session.ask_return(return_request(), site.now).error().code == ErrorCode::kConflict);
    site.after(wire::Chunk{1, Bytes(100'000, 'b')});
    auto arrived = site.take<server_event::ReturnArrived>();
    REQUIRE(arrived.size() == 1);
    CHECK(arrived[0].head.base == head.base);
    CHECK(arrived[0].artifact->take().value() == Bytes(200'000, 'a') + Bytes(100'000, 'b'));
    site.ask();  // the next one
  }
}

TEST_CASE("a node that has no artifact says why, and may be asked for another") {
  Site site;
  site.greet();
  site.ask();
  site.after(refusal(ErrorCode::kNotFound));
  auto arrived = site.take<server_event::ReturnArrived>();
  REQUIRE(arrived.size() == 1);
  CHECK(code_of(arrived[0]) == ErrorCode::kNotFound);
  CHECK(arrived[0].head.message == "refused");
  CHECK(arrived[0].artifact == nullptr);
  site.ask();
}

TEST_CASE("an answer that was not asked for, comes twice, or is another ends the session") {
  struct Case {
    std::string_view why;
    std::vector<wire::Message> said;
    bool asked = true;
    ErrorCode code = ErrorCode::kState;
  };
  wire::Return other_request = returned(10), other_base = returned(10);
  other_request.request = kRequest + 1;
  other_base.base = Site::want(2).base;
  const Case cases[] = {
      {"not asked for", {returned(10)}, false},
      {"a refusal that was not asked for", {refusal(ErrorCode::kNotFound)}, false},
      {"another request", {other_request}},
      {"another base", {other_base}},
      {"twice", {returned(10), returned(10, 2)}},
      {"refused after it began", {returned(10), refusal(ErrorCode::kIo)}},
      {"refused twice", {refusal(ErrorCode::kIo), refusal(ErrorCode::kIo)}},
      {"past its end", {returned(10), wire::Chunk{1, Bytes(11, 'x')}}},
      {"on another stream", {returned(10), wire::Chunk{2, "x"}}},
      {"after its end", {returned(1), wire::Chunk{1, "x"}, wire::Chunk{1, "x"}}},
  };
  for (const Case& each : cases) {
    CAPTURE(each.why);
    Site site;
    site.greet();
    if (each.asked) site.ask();
    for (const wire::Message& message : each.said) site.after(message);
    CHECK(site.ended_with() == each.code);
  }
}

TEST_CASE("a return and a publish do not share a stream") {
  Site site;
  site.registry.granted.insert(wire::Action::kPublish);
  site.greet();
  site.ask();
  wire::Publish publish{1, samples::kLedger, {}, 4, {}, 10, "", 1};
  site.after(publish);
  site.after(returned(10, 1));
  CHECK(site.ended_with() == ErrorCode::kState);

  Site beside;
  beside.registry.granted.insert(wire::Action::kPublish);
  beside.greet();
  beside.ask();
  beside.after(returned(10, 2));
  beside.after(publish);
  beside.after(wire::Chunk{1, Bytes(10, 'p')});
  beside.after(wire::Chunk{2, Bytes(10, 'r')});
  CHECK(beside.take<server_event::PublishArrived>().at(0).artifact->take() == Bytes(10, 'p'));
  CHECK(beside.take<server_event::ReturnArrived>().at(0).artifact->take() == Bytes(10, 'r'));
}

TEST_CASE("no room for an artifact is the recovery's matter, not the node's: the session goes on") {
  for (const uint64_t room : {0, 15}) {
    ScarceSpace space;
    space.bytes_max = room;
    ServedRegistry registry;
    ServerSession session({registry, registry, registry, &registry, &space},
                          {"test", std::string(samples::kDomain), samples::kNode}, kStart);
    const auto say = [&](const wire::Message& message) {
      session.receive(wire::encode_frame(message), kStart);
      return session.take_events();
    };
    say(Asked::hello());
    REQUIRE(session.ask_return(return_request(), kStart));
    std::vector<ServerEvent> events = say(returned(20));
    for (int i = 0; i < 2; ++i)
      for (ServerEvent& event : say(wire::Chunk{1, Bytes(10, 'x')}))
        events.push_back(std::move(event));
    REQUIRE(events.size() == 1);
    const auto& arrived = std::get<server_event::ReturnArrived>(events[0]);
    CHECK(code_of(arrived) == (room == 0 ? ErrorCode::kOverloaded : ErrorCode::kIo));
    CHECK(space.open_now == 0);
    CHECK_FALSE(session.is_closed());
    CHECK(session.ask_return(return_request(), kStart));
  }
}

TEST_CASE("a node that gives no answer is passed over, and asked again only after it came") {
  Site site;
  site.greet();
  site.ask();
  const TimeMs due_ms = site.now.boot_ms + limits::kReturnAnswerMs;
  while (site.now.boot_ms < due_ms && !site.session.is_closed()) site.next_deadline();
  CHECK(site.now.boot_ms == due_ms);
  auto arrived = site.take<server_event::ReturnArrived>();
  REQUIRE(arrived.size() == 1);
  CHECK(code_of(arrived[0]) == ErrorCode::kTimeout);
  CHECK(site.session.ask_return(return_request(), site.now).error().code == ErrorCode::kConflict);
  SUBCASE("it comes late") {
    site.after(returned(10));
    site.after(wire::Chunk{1, Bytes(10, 'x')});
  }
  SUBCASE("a late refusal") { site.after(refusal(ErrorCode::kIo)); }
  CHECK(site.take<server_event::ReturnArrived>().empty());
  site.ask();
}

TEST_CASE("a node that begins an artifact and sends none of it, or too slowly, loses its session") {
  Site silent;
  silent.greet();
  silent.ask();
  silent.after(returned(10));
  const TimeMs stall_ms = silent.now.boot_ms + limits::kTransferStallMs;
  while (silent.now.boot_ms < stall_ms && !silent.session.is_closed()) silent.next_deadline();
  CHECK(silent.ended_with() == ErrorCode::kTimeout);

  Site slow;
  slow.greet();
  slow.ask();
  slow.after(returned(1 << 20));
  const TimeMs began_ms = slow.now.boot_ms;
  for (int i = 0; i < 100 && !slow.session.is_closed(); ++i) {
    slow.now.boot_ms += 1'000;
    slow.after(wire::Chunk{1, "x"});
    if (slow.now.boot_ms >= slow.session.next_deadline()) slow.session.on_deadline(slow.now);
  }
  CHECK(slow.ended_with() == ErrorCode::kTimeout);
  CHECK(slow.now.boot_ms < began_ms + 2 * limits::kTransferStallMs);
}

TEST_CASE("the end of a session releases what has arrived") {
  ScarceSpace space;
  space.bytes_max = 1'000;
  ServedRegistry registry;
  ServerSession session({registry, registry, registry, &registry, &space},
                        {"test", std::string(samples::kDomain), samples::kNode}, kStart);
  const auto say = [&](const wire::Message& message) {
    session.receive(wire::encode_frame(message), kStart);
  };
  say(Asked::hello());
  REQUIRE(session.ask_return(return_request(), kStart));
  say(returned(20));
  say(wire::Chunk{1, "part"});
  CHECK(space.open_now == 1);
  session.on_cut(kStart);
  CHECK(space.open_now == 0);
  for (const ServerEvent& event : session.take_events())
    CHECK_FALSE(std::holds_alternative<server_event::ReturnArrived>(event));
}

// --- what a registry that has lost releases says and offers

TEST_CASE("no statement goes out while one of the ledgers is not vouched for, and then one does") {
  Served served;
  served.registry.unattested = {kOther};
  served.registry.set_head(kOther, 3);
  CHECK(all_of<wire::FreshnessUpdate>(served.subscribe({samples::kLedger})).size() == 1);

  Served both;
  both.registry.unattested = {kOther};
  both.registry.set_head(kOther, 3);
  CHECK(all_of<wire::FreshnessUpdate>(both.subscribe({samples::kLedger, kOther})).empty());
  CHECK(all_of<wire::FreshnessUpdate>(both.next_deadline()).empty());
  CHECK_FALSE(both.session.is_closed());
  both.registry.unattested.clear();
  both.session.freshness_due_now(both.now);
  const TimeMs asked_ms = both.now.boot_ms;
  CHECK(all_of<wire::FreshnessUpdate>(both.next_deadline()).size() == 1);
  CHECK(both.now.boot_ms <= asked_ms + limits::kFreshnessSoonMs);
}

TEST_CASE("a registry that waits for v47 offers its node none of the releases before") {
  Site site;
  site.registry.unattested = {samples::kLedger};
  auto want = Site::want(47);
  SUBCASE("that it knows no release of") {}
  SUBCASE("that holds one that it knows") {
    want.older = {wire::Base{3, site.registry.target(samples::kLedger, {})->content_root}};
  }
  auto said = site.greet({want});
  const auto offered = [&] { return site.take<server_event::ArtifactNeeded>(); };
  CHECK(all_of<wire::InventoryRequest>(said).empty());
  for (uint64_t recovered = 4; recovered <= 46; ++recovered) {
    site.registry.set_head(samples::kLedger, recovered);
    site.session.target_changed(samples::kLedger);
    CHECK(all_of<wire::InventoryRequest>(site.output()).empty());
  }
  CHECK(offered().empty());
  // v47 itself: the node has it.
  site.registry.set_head(samples::kLedger, 47);
  site.registry.known_root = want.base->content_root;
  site.session.target_changed(samples::kLedger);
  CHECK(all_of<wire::InventoryRequest>(site.output()).empty());
  CHECK(offered().empty());
  // And v48 builds on it.
  site.registry.unattested.clear();
  site.registry.set_head(samples::kLedger, 48);
  site.session.target_changed(samples::kLedger);
  site.output();
  const auto needs = offered();
  REQUIRE(needs.size() == 1);
  CHECK(needs[0].version == 48);
  CHECK(needs[0].base_version == 47);
}

TEST_CASE("a ledger that is attested again asks for the inventory that it had put off") {
  Site site;
  site.registry.unattested = {samples::kLedger};
  CHECK(all_of<wire::InventoryRequest>(site.greet()).empty());
  site.registry.unattested.clear();
  site.session.target_changed(samples::kLedger);
  CHECK(all_of<wire::InventoryRequest>(site.output()).size() == 1);
}

TEST_CASE("what a node reports of a lost release counts once the release is back") {
  Site site;
  site.registry.unattested = {samples::kLedger};
  const auto want = Site::want(47);
  site.greet({want});
  wire::Commit commit;
  commit.ledger = samples::kLedger;
  commit.version = 47;
  commit.state = wire::CommitState::kActive;
  site.after(commit);
  CHECK_FALSE(site.session.is_closed());
  CHECK(site.take<server_event::Committed>().empty());
  site.registry.set_head(samples::kLedger, 47);
  site.registry.known_root = want.base->content_root;
  site.session.target_changed(samples::kLedger);
  site.output();
  const auto reports = site.take<server_event::Committed>();
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].commit.version == 47);
  commit.version = 48;
  site.after(commit);
  CHECK(site.ended_with() == ErrorCode::kState);
}

// --- the node

TEST_CASE("a node hands on what it is asked of a ledger that it wants") {
  Asked asked;
  asked.tell(held_request());
  CHECK(asked.events_of<client_event::HeldWanted>() == 1);
  asked.tell(return_request());
  CHECK(asked.events_of<client_event::ReturnWanted>() == 1);
  asked.session.held(held());
  asked.session.give_back({}, std::make_shared<const Bytes>("artifact"));
  const auto said = messages_in(asked.session.take_output(1 << 20));
  CHECK(all_of<wire::Held>(said).size() == 1);
  const auto head = all_of<wire::Return>(said).at(0);
  CHECK(head.request == kRequest);
  CHECK(head.size == 8);
  CHECK(all_of<wire::Chunk>(said).at(0).stream == head.stream);
}

TEST_CASE("a node does not answer for a ledger that it never wanted") {
  Asked held_of_other;
  held_of_other.tell(held_request(kOther));
  CHECK(held_of_other.ended_with() == ErrorCode::kState);
  Asked return_of_other;
  return_of_other.tell(wire::ReturnRequest{1, kOther, 4, sha256("release 4"), 0});
  CHECK(return_of_other.ended_with() == ErrorCode::kState);
}

TEST_CASE("a registry that asks 10,000 times is not answered so often") {
  Asked asked;
  size_t events = 0;
  for (int i = 0; i < 10'000 && !asked.session.is_closed(); ++i) {
    asked.tell(held_request());
    if (!asked.session.is_closed()) events += asked.events_of<client_event::HeldWanted>();
  }
  CHECK(events == limits::kHeldRequestsMax);
  CHECK(asked.ended_with() == ErrorCode::kState);
}

TEST_CASE("one return is open at a time, until its last byte is sent") {
  Asked twice;
  twice.tell(return_request());
  twice.tell(return_request());
  CHECK(twice.ended_with() == ErrorCode::kState);

  // A registry that reads nothing does not pile up artifacts.
  Asked unread;
  unread.tell(return_request());
  unread.session.give_back({}, std::make_shared<const Bytes>(1 << 20, 'a'));
  unread.session.take_output(1 << 10);
  unread.tell(return_request());
  CHECK(unread.ended_with() == ErrorCode::kState);

  Asked next;
  for (int i = 0; i < 3; ++i) {
    next.tell(return_request());
    next.session.give_back({}, std::make_shared<const Bytes>(1 << 20, 'a'));
    while (!next.session.take_output(1 << 16).empty()) {
    }
  }
  next.tell(return_request());
  wire::Return refused;
  refused.code = static_cast<uint32_t>(ErrorCode::kCorrupt);
  next.session.give_back(refused, nullptr);
  next.tell(return_request());
  CHECK(next.events_of<client_event::ReturnWanted>() == 5);
  CHECK_FALSE(next.session.is_closed());
}

TEST_CASE("two ends: a release goes back whole through both sessions") {
  Site registry;
  ClientSession node(Asked::hello(), {}, kStart);
  const auto exchange = [&] {
    for (bool again = true; again;) {
      again = false;
      for (Bytes out = node.take_output(1 << 16); !out.empty(); out = node.take_output(1 << 16)) {
        again = true;
        registry.session.receive(out, kStart);
      }
      for (Bytes out = registry.session.take_output(1 << 16); !out.empty();
           out = registry.session.take_output(1 << 16)) {
        again = true;
        node.receive(out, kStart);
      }
    }
    for (ServerEvent& event : registry.session.take_events())
      registry.events.push_back(std::move(event));
  };
  exchange();
  CHECK(registry.take<server_event::HoldsMore>().size() == 1);
  const Bytes artifact(3 << 20, 'r');
  for (int i = 0; i < 3; ++i) {
    REQUIRE(registry.session.ask_return(return_request(), kStart));
    exchange();
    node.give_back({}, std::make_shared<const Bytes>(artifact));
    exchange();
    auto arrived = registry.take<server_event::ReturnArrived>();
    REQUIRE(arrived.size() == 1);
    CHECK(arrived[0].artifact->take().value() == artifact);
  }
}

}  // namespace notp::session
