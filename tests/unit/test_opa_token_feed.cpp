// Feeding an OPA with tokens, without one: against a document that is as strict as OPA is.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>

#include "common/random.hpp"
#include "notp-client/pdp/opa_tokens.hpp"

namespace notp::pdp {
namespace {

using feed::Event;
using feed::TokenId;

// data.tokens of an OPA, with what it answers (OPA 1.22.2).
class Document {
 public:
  unsigned call(const OpaTokensCall& call) {
    if (is_down) return 0;
    if (!is_protected && !call.has_secret) return 200;
    if (!call.has_secret || !has_bundle) return 401;
    if (call.method == "GET") return 200;
    if (call.method == "PUT") {
      ++frames;
      value = parse_json(call.body).value();
      return 204;
    }
    if (!value) return 404;
    return patch(parse_json(call.body).value().as_array());
  }
  Bytes instance() const {
    return value ? json::serialize(json::object{{"result", value->at("instance")}}) : Bytes("{}");
  }
  const json::object& member(std::string_view name) const { return value->at(name).as_object(); }

  std::optional<json::value> value;  // nullopt: OPA was started again
  bool is_down = false, is_protected = true, has_bundle = true;
  size_t frames = 0, patches = 0, most_operations = 0, least_free = SIZE_MAX;

 private:
  // One transaction: a failing operation undoes the others.
  unsigned patch(const json::array& operations) {
    ++patches;
    most_operations = std::max(most_operations, operations.size());
    json::value next = *value;
    for (const json::value& each : operations) {
      const std::string path(each.at("path").as_string());
      const size_t slash = path.rfind('/');
      json::object* parent = &next.as_object();
      if (slash > 0) {
        json::value* const found = parent->if_contains(path.substr(1, slash - 1));
        if (!found) return 404;
        parent = &found->as_object();
      }
      const std::string name = path.substr(slash + 1);
      if (each.at("op") == "add") {
        (*parent)[name] = each.at("value");
        continue;
      }
      if (!parent->contains(name)) return 404;
      parent->erase(name);
    }
    value = std::move(next);
    return 204;
  }
};

TokenId id_of(uint64_t number) { return feed::token_id(std::to_string(number)); }

struct Node {
  explicit Node(OpaTokensLimits limits = {}) : feed("ours", "a proof", limits) {
    rego::LaneReadout readout;
    readout.lane = "sessions";
    readout.contact = rego::LaneContact::kHeard;
    readout.is_complete = true;
    table.set_readout(readout);
  }
  void give(lane::TableUpdate update) {
    ++open;
    feed.apply(std::move(update), [this](const Result<void>& done) {
      --open;
      ++(done ? finished : failed);
    });
  }
  void publish() {
    rego::LaneReadout readout = table.readout();
    ++readout.revision;
    table.set_readout(readout);
    give(table.take_update());
  }
  // One call, and what follows from it; false: nothing to do yet.
  bool step() {
    for (auto& [done, result] : feed.take_finished()) done(std::move(result));
    if (feed.take_lost()) give(table.whole());
    const auto call = feed.next(now_ms);
    if (!call) return false;
    if (call->method == "PATCH" && !call->body.starts_with("[]")) watch(*call);
    const unsigned status = opa.call(*call);
    feed.on_answer(status, status == 200 ? opa.instance() : Bytes("what it says"), now_ms);
    for (auto& [done, result] : feed.take_finished()) done(std::move(result));
    return true;
  }
  void settle() {
    for (int idle = 0; idle < 3;) {
      if (step()) {
        idle = 0;
        continue;
      }
      ++idle;
      now_ms = std::max(now_ms, feed.next_deadline().value_or(now_ms));
    }
  }
  // Until a revision is there, no token is served that the table does not have.
  void watch(const OpaTokensCall& call) { bytes_most = std::max(bytes_most, call.body.size()); }

  void check_equal() {
    REQUIRE(opa.value);
    std::map<std::string, size_t> counts;
    lane::for_each(table.whole(), [&](const Event& event) {
      const EventKeyText key = token_pointer(feed::key_of(event));
      const size_t slash = key.rfind('/');
      const std::string section = key.substr(1, slash - 1);
      ++counts[section];
      const json::object& member = opa.member(section);
      CHECK_MESSAGE(member.contains(key.substr(slash + 1)), key);
      if (const auto* found = member.if_contains(key.substr(slash + 1)))
        CHECK(*found == parse_json(token_value(event)->json).value());
      return true;
    });
    for (const char* section : {"live", "deleted", "marks", "lists"})
      CHECK(opa.member(section).size() == counts[section]);
    CHECK(opa.member("lane").at("revision").to_number<uint64_t>() == table.readout().revision);
    CHECK(opa.member("lane").at("complete").as_bool());
  }
  using EventKeyText = std::string;

  lane::TokenTable table{{.with_events = true}};
  OpaTokens feed;
  Document opa;
  TimeMs now_ms = 1;
  int open = 0, finished = 0, failed = 0;
  size_t bytes_most = 0;
};

std::vector<Event> some_events(SeededRandom& random) {
  std::vector<Event> out;
  for (uint64_t n = random.below(400); n-- > 0;) {
    const TokenId id = id_of(random.below(600));
    switch (random.below(6)) {
      case 0:
        out.push_back(Event::deleted(id, 1'000 + static_cast<int64_t>(random.below(500))));
        break;
      case 1:
        out.push_back(Event::mark(id, 500, 1'000 + static_cast<int64_t>(random.below(500))));
        break;
      default:
        out.push_back(Event::token(id, {.sub = std::to_string(random.below(9)),
                                        .exp_s = 1'000 + static_cast<int64_t>(random.below(500))}));
    }
  }
  return out;
}

}  // namespace

TEST_CASE("whatever happens, OPA gets what the table has, in small patches") {
  size_t patches = 0, frames = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SeededRandom random(seed);
    Node node;
    node.give(node.table.whole());
    int64_t now_s = 900;
    for (int round = 0; round < 40; ++round) {
      node.table.apply(some_events(random));
      if (random.below(4) == 0) node.table.expire(now_s += static_cast<int64_t>(random.below(60)));
      node.publish();
      for (uint64_t steps = random.below(12); steps-- > 0;) {
        node.step();
        if (random.below(40) == 0) node.opa.value.reset();  // it was started again
        if (random.below(40) == 0) node.opa.is_down = true;
        if (random.below(10) == 0) node.opa.is_down = false;
        if (random.below(30) == 0) node.opa.has_bundle = !node.opa.has_bundle;
        if (random.below(8) == 0) node.feed.on_status(node.now_ms);
      }
      if (random.below(20) == 0) node.table.clear();
    }
    node.opa.is_down = false;
    node.opa.has_bundle = true;
    node.feed.on_status(node.now_ms);
    node.settle();
    node.publish();
    node.settle();
    CAPTURE(seed);
    node.check_equal();
    CHECK(node.open == 0);
    CHECK(node.feed.status().state == OpaTokensState::kReady);
    CHECK(node.opa.most_operations <= 100);
    patches += node.opa.patches;
    frames += node.opa.frames;
  }
  MESSAGE(patches, " patches, ", frames, " frames");
  CHECK(frames > 100);
}

TEST_CASE("what is revoked is revoked before what is new lives, and the revision comes last") {
  Node node;
  std::vector<Event> events;
  for (uint64_t i = 0; i < 300; ++i)
    events.push_back(Event::token(id_of(i), {.sub = "s", .exp_s = 1'000}));
  node.table.apply(events);
  node.give(node.table.whole());
  node.settle();
  node.publish();
  node.settle();
  node.check_equal();
  events.clear();
  for (uint64_t i = 0; i < 600; ++i)
    events.push_back(i < 300 ? Event::deleted(id_of(i), 2'000)
                             : Event::token(id_of(i), {.sub = "t", .exp_s = 1'000}));
  node.table.apply(events);
  const auto before = node.opa.member("lane").at("revision").to_number<uint64_t>();
  node.publish();
  for (bool begun = false; node.step();) {
    const json::object& live = node.opa.member("live");
    const bool has_new = live.size() > 0 && std::ranges::any_of(live, [](const auto& each) {
                           return each.value().at("sub") == "t";
                         });
    const bool has_old =
        std::ranges::any_of(live, [](const auto& each) { return each.value().at("sub") == "s"; });
    CHECK_FALSE((has_new && has_old));
    if (live.size() != 300 || !has_new)
      CHECK(node.opa.member("lane").at("revision").to_number<uint64_t>() == before);
    begun = begun || has_new;
  }
  node.check_equal();
}

TEST_CASE("an OPA that lets anybody in is told apart from one that waits for its bundle") {
  Node node;
  node.opa.is_protected = false;
  node.give(node.table.whole());
  for (int i = 0; i < 5; ++i) node.step();
  CHECK(node.feed.status().state == OpaTokensState::kUnprotected);
  CHECK(node.failed == 1);
  CHECK_FALSE(node.opa.value);
  node.opa.is_protected = true;
  node.opa.has_bundle = false;
  node.now_ms = node.feed.next_deadline().value();
  for (int i = 0; i < 5; ++i) node.step();
  CHECK(node.feed.status().state == OpaTokensState::kWaiting);
  CHECK(node.feed.status().finding.contains("secret"));
  // It tries rarely, and at once when OPA reports.
  const TimeMs asked_ms = node.now_ms;
  for (int i = 0; i < 20; ++i) {
    node.now_ms = std::max(node.now_ms, node.feed.next_deadline().value());
    while (node.step()) {
    }
  }
  CHECK(node.now_ms - asked_ms > 10 * 30'000);
  node.opa.has_bundle = true;
  node.feed.on_status(node.now_ms);
  while (node.step()) {
  }
  CHECK(node.feed.status().state == OpaTokensState::kReady);
}

TEST_CASE("an OPA that was started again without protection gets no patch, and never the proof") {
  Node node;
  node.give(node.table.whole());
  node.settle();
  REQUIRE(node.feed.status().state == OpaTokensState::kReady);
  CHECK(node.opa.value->at("proof") == "a proof");
  // Somebody lays out what a patch needs, and the instance that he knew.
  json::object forged = node.opa.value->as_object();
  forged.erase("proof");
  node.opa.value = forged;
  node.opa.is_protected = false;
  const size_t patches = node.opa.patches, frames = node.opa.frames;
  node.feed.on_status(node.now_ms);
  node.table.apply(std::vector{Event::token(id_of(1), {.sub = "s", .exp_s = 1'000})});
  node.publish();
  while (node.step()) {
  }
  CHECK(node.feed.status().state == OpaTokensState::kUnprotected);
  CHECK(node.opa.patches == patches);
  CHECK(node.opa.frames == frames);
  CHECK_FALSE(node.opa.value->as_object().contains("proof"));
}

TEST_CASE("an OPA is probed again when the table comes long after the probe") {
  Node node;
  while (node.step()) {  // OPA takes the secret, and the table is awaited
    if (node.open == 0 && node.feed.take_lost()) break;
  }
  CHECK(node.feed.status().state == OpaTokensState::kFilling);
  node.opa.is_protected = false;
  node.give(node.table.whole());
  while (node.step()) {
  }
  CHECK(node.feed.status().state == OpaTokensState::kUnprotected);
  CHECK(node.opa.frames == 0);
}

TEST_CASE("lists in which too much is not valid are refused, and their old state goes") {
  Node node({.tokens_max = 40});
  const auto list = [](size_t set, size_t bytes) {
    Bytes statuses(bytes, '\0');
    for (size_t i = 0; i < set; ++i) statuses[i] = 1;
    return Event::status_list(id_of(1), 8, std::move(statuses), 1'000);
  };
  const auto give = [&](const Event& event) {
    lane::TableUpdate update;
    update.feed.readout = node.table.readout();
    update.events.push_back(event);
    node.give(std::move(update));
    node.settle();
  };
  node.give(node.table.whole());
  node.settle();
  give(list(30, 100));
  CHECK(node.opa.member("lists").size() == 1);
  CHECK(node.feed.status().tokens == 30);
  give(list(41, 100));
  CHECK(node.opa.member("lists").empty());
  CHECK(node.feed.status().lists == 1);
  CHECK(node.feed.status().tokens == 0);
  give(list(kOpaListStatusesMax + 1, kOpaListStatusesMax + 1));
  CHECK(node.feed.status().lists == 1);
  give(list(2, 3));
  CHECK(json::serialize(node.opa.member("lists").begin()->value()) ==
        R"({"size":3,"until_s":1000,"set":{"0":1,"1":1}})");
  CHECK(node.feed.status().finding.empty());
}

TEST_CASE("statuses of every width are found where the draft has them") {
  // draft-ietf-oauth-status-list, "Compressed Byte Array": 1 0 0 1 1 1 0 1, then 1 1 0 0 0 1 0 1.
  const auto one = token_value(Event::status_list(id_of(1), 1, "\xb9\xa3", 7));
  CHECK(
      one->json ==
      R"({"size":16,"until_s":7,"set":{"0":1,"3":1,"4":1,"5":1,"7":1,"8":1,"9":1,"13":1,"15":1}})");
  // The same section: 1 2 0 3, 0 1 0 1, 1 2 3 3.
  const auto two = token_value(Event::status_list(id_of(1), 2, "\xc9\x44\xf9", 7));
  CHECK(
      two->json ==
      R"({"size":12,"until_s":7,"set":{"0":1,"1":2,"3":3,"5":1,"7":1,"8":1,"9":2,"10":3,"11":3}})");
  CHECK(two->cost == 9);
  const auto four = token_value(Event::status_list(id_of(1), 4, "\x10\x0f", 7));
  CHECK(four->json == R"({"size":4,"until_s":7,"set":{"1":1,"2":15}})");
  const auto eight = token_value(Event::status_list(id_of(1), 8, Bytes("\x00\xff", 2), 7));
  CHECK(eight->json == R"({"size":2,"until_s":7,"set":{"1":255}})");
}

}  // namespace notp::pdp
