// Freshness by class at the registry's end: who shares a statement, what it costs, and who gets one
// of its own.
#include <doctest/doctest.h>

#include <deque>
#include <thread>

#include "common/limits.hpp"
#include "protocol/serve/class_table.hpp"
#include "protocol/session/freshness_update.hpp"
#include "tests/support/registry/served_session.hpp"

namespace notp::session {
namespace {

using samples::kLedger;

// A node with its open session. It verifies all that it is sent.
struct Node {
  std::string identity;
  ServerSession session;
  Now now = kStart;
  trust::Trusted trusted = samples::trusting(samples::tracked_root());
  std::map<std::optional<trust::ClassId>, trust::Freshness> last;  // by whom they are for
  std::vector<wire::Message> said;                                 // since the last step
  size_t bytes = 0;                                                // of these

  Node(const ServedRegistry& registry, ReaderClasses* classes, const std::string& name)
      : identity("spiffe://core-platform.internal/node/" + name),
        session({registry, registry, registry, &registry, nullptr, nullptr, classes},
                {"test", std::string(samples::kDomain), identity}, kStart) {
    trusted.audience = identity;
  }

  void hello(std::vector<model::LedgerId> ledgers, bool understands = true) {
    wire::Hello hello{{wire::kProtocolVersion}, "test", 1, trusted.freshness_sequence, {}};
    hello.class_freshness = understands;
    if (trusted.assignment) hello.assignment_sequence = trusted.assignment->sequence;
    for (const model::LedgerId& ledger : ledgers) {
      wire::Want want;
      want.ledger = ledger;
      hello.wants.push_back(want);
    }
    say(hello);
  }
  void say(const wire::Message& message) {
    session.receive(wire::encode_frame(message), now);
    take();
  }
  void take() {
    session.take_events();
    const Bytes out = session.take_output(1 << 24);
    bytes = out.size();
    said = messages_in(out);
    for (const wire::Message& message : said) {
      trust::Update arrived;
      Bytes envelope;
      if (const auto* assignment = std::get_if<wire::Assignment>(&message)) {
        arrived.assignment = assignment->envelope;
      } else if (const auto* update = std::get_if<wire::FreshnessUpdate>(&message)) {
        const auto mine =
            trusted.assignment ? std::optional(trusted.assignment->class_id) : std::nullopt;
        const auto base = last.find(update->of_class ? mine : std::nullopt);
        const auto expanded =
            expand_freshness_update(*update, base == last.end() ? nullptr : &base->second,
                                    samples::kDomain, identity, mine);
        REQUIRE_MESSAGE(expanded.has_value(), (expanded ? "" : expanded.error().message));
        envelope = expanded->encode();
        arrived.freshness = envelope;
      } else {
        continue;
      }
      const trust::Verdict verdict = trust::verify_update(arrived, trusted, now.wall_ms);
      REQUIRE_MESSAGE(!verdict.error, (verdict.error ? verdict.error->message : ""));
      // After another assignment no statement builds on one from before.
      if (verdict.assignment && trusted.assignment &&
          trusted.assignment->class_id != verdict.assignment->assignment.class_id)
        last.clear();
      trust::advance(trusted, verdict);
      if (verdict.freshness)
        last[verdict.freshness->freshness.class_id] = verdict.freshness->freshness;
    }
  }
  void pass(TimeMs ms) {
    now.boot_ms += ms;
    now.wall_ms += ms;
  }
  // Waits for what the session does next.
  void next_deadline() {
    pass(session.next_deadline() - now.boot_ms);
    session.on_deadline(now);
    take();
    session.receive(wire::encode_frame(wire::Ping{1}), now);  // it is alive
    session.take_output(1 << 20);
  }
  void freshness_due() {
    session.freshness_due_now(now);
    next_deadline();
  }
  template <typename T>
  std::vector<T> heard() const {
    return all_of<T>(said);
  }
  // The one statement of the last step.
  wire::FreshnessUpdate statement() const {
    const auto all = heard<wire::FreshnessUpdate>();
    REQUIRE(all.size() == 1);
    return all.front();
  }
  uint64_t listed(const model::LedgerId& ledger = kLedger) const {
    for (const trust::FreshHead& head : last.at(trusted.assignment->class_id).heads)
      if (head.ledger == ledger) return head.version;
    return 0;
  }
};

struct Registry {
  ServedRegistry served;
  serve::ClassTable classes{served, served};
  std::deque<Node> nodes;

  Node& node(const std::string& name) { return nodes.emplace_back(served, &classes, name); }
  Node& open(const std::string& name, std::vector<model::LedgerId> ledgers = {kLedger}) {
    Node& out = node(name);
    out.hello(std::move(ledgers));
    return out;
  }
};

TEST_CASE("readers with the same targets share one statement, and each has its own assignment") {
  Registry registry;
  registry.served.set_head(kOther, 1);
  Node& one = registry.open("one");
  Node& two = registry.open("two");
  Node& other = registry.open("other", {kLedger, kOther});
  CHECK(one.statement().of_class);
  CHECK(one.statement().signature == two.statement().signature);
  CHECK(one.statement().signature != other.statement().signature);
  REQUIRE(one.heard<wire::Assignment>().size() == 1);
  CHECK(one.heard<wire::Assignment>().front().envelope !=
        two.heard<wire::Assignment>().front().envelope);
  CHECK(one.trusted.assignment->class_id == two.trusted.assignment->class_id);
  CHECK(one.trusted.assignment->class_id != other.trusted.assignment->class_id);
  CHECK(registry.served.class_signatures == 2);
  CHECK(registry.served.assignments == 3);
  CHECK(registry.classes.classes() == 2);

  // They are renewed together, by one signature, with a small difference and no new assignment.
  one.next_deadline();
  two.next_deadline();
  CHECK(std::abs(one.now.boot_ms - two.now.boot_ms) < limits::kFreshnessSoonMs);
  CHECK(one.now.boot_ms <= kStart.boot_ms + kInterval + limits::kFreshnessSoonMs);
  CHECK(registry.served.class_signatures == 3);
  for (const Node* node : {&one, &two}) {
    CHECK(node->said.size() == 1);
    CHECK(node->statement().base_sequence != 0);
    CHECK(node->statement().heads.empty());
    CHECK(node->bytes < 120);
  }
  registry.nodes.clear();
  CHECK(registry.classes.classes() == 0);
  CHECK(registry.served.signatures == 0);
}

TEST_CASE("a client that does not say that it understands classes gets what it always got") {
  Registry registry;
  Node& old = registry.node("old");
  old.hello({kLedger}, /*understands=*/false);
  CHECK(old.heard<wire::Assignment>().empty());
  CHECK_FALSE(old.statement().of_class);
  old.next_deadline();
  CHECK(old.statement().base_sequence != 0);
  CHECK(registry.served.signatures == 2);
  CHECK(registry.classes.classes() == 0);
}

// What a session says when its class has changed.
void check_is_told_anew(const Node& node) {
  const auto assignment = std::ranges::find_if(
      node.said, [](const auto& each) { return std::holds_alternative<wire::Assignment>(each); });
  const auto statement = std::ranges::find_if(node.said, [](const auto& each) {
    return std::holds_alternative<wire::FreshnessUpdate>(each);
  });
  REQUIRE(statement != node.said.end());
  CHECK(assignment < statement);
  CHECK(node.statement().of_class);
  CHECK(node.statement().base_sequence == 0);
}

TEST_CASE("a session with one more ledger gets another assignment, then a whole statement") {
  Registry registry;
  registry.served.set_head(kOther, 1);
  Node& one = registry.open("one");
  Node& stays = registry.open("stays");
  wire::Want want;
  want.ledger = kOther;
  one.say(wire::WantMore{{want}});
  one.next_deadline();
  check_is_told_anew(one);
  CHECK(one.listed(kOther) == 1);
  CHECK(one.trusted.assignment->class_id != stays.trusted.assignment->class_id);
  stays.next_deadline();
  CHECK(stays.statement().base_sequence != 0);
}

TEST_CASE("a session whose ring changes gets another assignment, and back as well") {
  Registry registry;
  Node& one = registry.open("one");
  Node& stays = registry.open("stays");
  registry.served.held[one.identity] = 3;
  registry.served.set_head(kLedger, 4);
  one.next_deadline();
  check_is_told_anew(one);
  CHECK(one.listed() == 3);
  stays.next_deadline();
  CHECK(stays.listed() == 4);
  CHECK(stays.statement().base_sequence != 0);
  registry.served.held.clear();
  one.next_deadline();
  check_is_told_anew(one);
  CHECK(one.listed() == 4);
  CHECK(one.trusted.assignment->class_id == stays.trusted.assignment->class_id);
}

TEST_CASE("a thousand sessions, on several threads, hear of a withdrawal by one signature") {
  constexpr size_t kThreads = 4, kEach = 250;
  Registry registry;
  for (size_t i = 0; i < kThreads * kEach; ++i) registry.open(std::to_string(i));
  CHECK(registry.served.class_signatures == 1);
  registry.served.withdrawn = {sha256("withdrawn")};
  std::vector<TimeMs> due(kThreads * kEach);
  {
    std::vector<std::jthread> threads;
    for (size_t thread = 0; thread < kThreads; ++thread)
      threads.emplace_back([&, thread] {
        for (size_t i = thread; i < kThreads * kEach; i += kThreads) {
          Node& node = registry.nodes[i];
          node.session.freshness_due_now(node.now);
          due[i] = node.session.next_deadline() - node.now.boot_ms;
          node.pass(due[i]);
          node.session.on_deadline(node.now);
        }
      });
  }
  CHECK(registry.served.class_signatures == 2);
  CHECK(*std::ranges::max_element(due) <= limits::kFreshnessSoonMs);
  CHECK(*std::ranges::max_element(due) > limits::kFreshnessSoonMs / 2);
  for (Node& node : registry.nodes) {
    node.take();
    REQUIRE(node.last.at(node.trusted.assignment->class_id).heads.front().withdrawn.size() == 1);
  }
  CHECK(registry.served.signatures == 0);

  // What does not concern them makes no statement.
  Node& one = registry.nodes.front();
  one.freshness_due();
  CHECK(one.said.empty());
  CHECK(registry.served.class_signatures == 2);
}

TEST_CASE("new heads and roots are in the next statement, whichever session asks for it") {
  Registry registry;
  Node& one = registry.open("one");
  registry.served.set_head(kLedger, 4);
  Node& two = registry.open("two");
  CHECK(two.listed() == 4);
  CHECK(registry.served.class_signatures == 2);
  // `one` missed that statement, and gets the next one relative to what it has.
  one.next_deadline();
  CHECK(one.listed() == 4);
  CHECK(one.statement().base_sequence != 0);
  registry.served.roots = 2;
  one.session.roots_changed(one.now);
  const auto roots = all_of<wire::RootUpdate>(messages_in(one.session.take_output(1 << 20)));
  CHECK(roots.size() == 1);
}

TEST_CASE("a new freshness key ends what a thief signed far ahead, and all is said anew") {
  Registry registry;
  registry.served.new_freshness_key_at = 2;
  Node& one = registry.open("one");
  registry.served.roots = 2;
  one.session.roots_changed(one.now);
  one.pass(one.session.next_deadline() - one.now.boot_ms);
  one.session.on_deadline(one.now);
  const auto said = messages_in(one.session.take_output(1 << 20));
  REQUIRE(said.size() == 3);
  CHECK(std::holds_alternative<wire::RootUpdate>(said[0]));
  CHECK(std::holds_alternative<wire::Assignment>(said[1]));
  CHECK(std::get<wire::FreshnessUpdate>(said[2]).base_sequence == 0);
  CHECK(std::get<wire::FreshnessUpdate>(said[2]).root_version == 2);
}

TEST_CASE(
    "no statement of a class follows a root that voided the assignment to it, not even once") {
  Registry registry;
  registry.served.new_freshness_key_at = 2;
  Node& one = registry.open("one");
  registry.served.roots = 2;  // known here, and the session has not been told yet
  const auto next = [&one] {
    one.pass(one.session.next_deadline() - one.now.boot_ms);
    one.session.on_deadline(one.now);
    return messages_in(one.session.take_output(1 << 20));
  };
  const auto first = next();
  REQUIRE(first.size() == 1);
  CHECK(std::holds_alternative<wire::RootUpdate>(first[0]));
  one.session.roots_changed(one.now);
  const auto second = next();
  REQUIRE(second.size() == 2);
  CHECK(std::holds_alternative<wire::Assignment>(second[0]));
  CHECK(std::holds_alternative<wire::FreshnessUpdate>(second[1]));
}

TEST_CASE(
    "a reader whose sequence is ahead of its class gets statements of its own until it is not") {
  Registry registry;
  registry.open("other");
  Node& ahead = registry.node("ahead");
  ahead.trusted.freshness_sequence = static_cast<uint64_t>(kStart.wall_ms + kInterval / 2);
  ahead.hello({kLedger});
  CHECK_FALSE(ahead.statement().of_class);
  CHECK(ahead.statement().sequence == static_cast<uint64_t>(kStart.wall_ms + kInterval / 2 + 1));
  ahead.pass(1);
  while (ahead.now.boot_ms < kStart.boot_ms + 2 * kInterval) ahead.next_deadline();
  CHECK(ahead.statement().of_class);
  CHECK(ahead.last.size() == 2);
  // Nobody's claim drives the sequences of the class.
  Node& liar = registry.node("liar");
  liar.trusted.freshness_sequence = limits::kVersionMax - 10;
  liar.hello({kLedger});
  CHECK_FALSE(liar.statement().of_class);
  CHECK(ahead.last.at(ahead.trusted.assignment->class_id).sequence <
        static_cast<uint64_t>(kStart.wall_ms + 3 * kInterval));
}

TEST_CASE("those who come back with the newest statement share the next one") {
  Registry registry;
  std::vector<trust::Trusted> fleet;
  for (int i = 0; i < 20; ++i) fleet.push_back(registry.open(std::to_string(i)).trusted);
  CHECK(registry.served.class_signatures == 1);
  const auto come_back = [&](TimeMs after_ms) {
    registry.nodes.clear();
    // The class outlives its sessions here.
    std::vector<wire::FreshnessUpdate> out;
    for (int i = 0; i < 20; ++i) {
      Node& node = registry.node(std::to_string(i));
      node.trusted = fleet[static_cast<size_t>(i)];
      node.pass(after_ms);
      node.hello({kLedger});
      out.push_back(node.statement());
      fleet[static_cast<size_t>(i)] = node.trusted;
    }
    return out;
  };
  Node stays(registry.served, &registry.classes, "stays");
  stays.hello({kLedger});
  for (const auto& update : come_back(kInterval / 2)) CHECK(update.of_class);
  CHECK(registry.served.class_signatures == 2);
  CHECK(registry.served.signatures == 0);
  // Soon again: each has one of its own, so that nobody makes the class sign at will.
  for (const auto& update : come_back(kInterval / 2 + 10)) CHECK_FALSE(update.of_class);
  CHECK(registry.served.class_signatures == 2);
  CHECK(registry.served.signatures == 20);
  // Who stayed builds on what it has.
  stays.next_deadline();
  CHECK(stays.statement().base_sequence != 0);
}

TEST_CASE(
    "a reader beyond the most classes gets statements of its own, and a class when one ends") {
  Registry registry;
  const auto ledgers_of = [&](size_t i) {
    const model::LedgerId ledger{kLedger.zone, "ledger-" + std::to_string(i)};
    registry.served.set_head(ledger, 1);
    return std::vector{ledger};
  };
  for (size_t i = 0; i < limits::kReaderClassesMax; ++i)
    CHECK(registry.open(std::to_string(i), ledgers_of(i)).statement().of_class);
  CHECK(registry.classes.classes() == limits::kReaderClassesMax);
  Node& late = registry.open("late", ledgers_of(limits::kReaderClassesMax));
  CHECK_FALSE(late.statement().of_class);
  CHECK(late.heard<wire::Assignment>().empty());
  CHECK(registry.classes.refused_total() == 1);
  CHECK(registry.classes.classes() == limits::kReaderClassesMax);
  CHECK(registry.open("same", ledgers_of(7)).statement().of_class);
  late.next_deadline();
  CHECK_FALSE(late.statement().of_class);
  registry.nodes.pop_front();
  late.next_deadline();
  CHECK(late.statement().of_class);
}

TEST_CASE("rights and what is vouched for are looked up for each session of a class") {
  Registry registry;
  Node& one = registry.open("one");
  registry.served.unattested = {kLedger};
  one.next_deadline();
  CHECK(one.heard<wire::FreshnessUpdate>().empty());
  CHECK_FALSE(one.session.is_closed());
  registry.served.unattested.clear();
  one.next_deadline();
  CHECK(one.statement().of_class);
  registry.served.forbidden = {kLedger};
  one.next_deadline();
  REQUIRE(one.heard<wire::ErrorMessage>().size() == 1);
  CHECK(one.heard<wire::ErrorMessage>().front().code == ErrorCode::kDenied);
  CHECK(one.session.is_closed());
}

TEST_CASE("an assignment is renewed when half of its life is over") {
  Registry registry;
  Node& one = registry.open("one");
  const trust::Assignment first = *one.trusted.assignment;
  size_t assignments = 0;
  while (one.now.boot_ms < kStart.boot_ms + limits::kAssignmentLifetimeMs * 3 / 4) {
    one.next_deadline();
    assignments += one.heard<wire::Assignment>().size();
    REQUIRE(one.statement().of_class);
  }
  CHECK(assignments == 1);
  CHECK(one.trusted.assignment->sequence > first.sequence);
  CHECK(one.trusted.assignment->class_id == first.class_id);
}

TEST_CASE("a reader that cannot be assigned, because a thief used up the sequences, gets its own") {
  Registry registry;
  Node& one = registry.node("one");
  wire::Hello hello{{wire::kProtocolVersion}, "test", 1, 0, {}};
  hello.class_freshness = true;
  hello.assignment_sequence = limits::kVersionMax;
  wire::Want want;
  want.ledger = kLedger;
  hello.wants.push_back(want);
  one.say(hello);
  CHECK(one.heard<wire::Assignment>().empty());
  CHECK_FALSE(one.statement().of_class);
}

TEST_CASE("a clock that is set back makes a new statement at once, above the last") {
  Registry registry;
  Node& one = registry.open("one");
  one.now.wall_ms -= 1'000'000;
  one.freshness_due();
  CHECK(one.statement().of_class);
  CHECK(one.statement().issued_ms == one.now.wall_ms);
  CHECK(one.statement().sequence == static_cast<uint64_t>(kStart.wall_ms) + 1);
}

TEST_CASE("the name of a class depends on each part of what its readers follow") {
  const std::vector<std::vector<Followed>> different = {
      {{{1, "a"}, ""}},
      {{{1, "b"}, ""}},
      {{{2, "a"}, ""}},
      {{{1, "a"}, "b"}},
      {{{1, "a"}, ""}, {{1, "b"}, ""}},
      {{{1, "a"}, "1"}, {{1, "b"}, ""}},
      {{{1, "a"}, ""}, {{1, "b"}, "1"}},
      {{{1, "a1"}, "b"}},
      {{{1, "a"}, "1b"}},
  };
  std::set<trust::ClassId> names;
  for (const auto& followed : different) names.insert(serve::class_id_of(followed));
  CHECK(names.size() == different.size());
  // At any registry of the domain, and after a restart.
  CHECK(serve::class_id_of(different[4]).hex() == "14efcbae2255b928c289a12f5ec33f39");
}

}  // namespace
}  // namespace notp::session
