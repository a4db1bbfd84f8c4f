// Attacks on classes of readers: whoever relays the registry's statements feeds a node assignments
// and statements that are not for it, or not any more. Nearly all of them are genuine: signed by
// the freshness key, for another reader, another class or another time.
//
// Each is refused by the check that is named for it, by the agent as well, also after a restart
// from its store; then the honest statements go on.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <functional>

#include "common/limits.hpp"
#include "protocol/session/freshness_update.hpp"
#include "tests/attack/attacked_agent.hpp"

namespace notp::attack {
namespace {

constexpr TimeMs kMinuteMs = 60'000;
constexpr TimeMs kLifeMs = limits::kAssignmentLifetimeMs;
const std::map<model::LedgerId, uint64_t> kHeads = {{kGateway, 2}, {kPayments, 2}};
const std::vector<uint8_t> kHonest = {keys::kFreshness};

trust::ClassId class_of(uint8_t number) {
  trust::ClassId id;
  id.bytes.fill(number);
  return id;
}
const trust::ClassId kOwn = class_of(1), kFormer = class_of(2), kForeign = class_of(3);

// Sequences of what the node has accepted when an attack begins.
constexpr uint64_t kLastAssignment = 10, kLastStatement = 6;

// Of the registry for the node, at this time.
trust::Assignment assignment(uint64_t sequence, const trust::ClassId& id, TimeMs issued_ms) {
  return {std::string(kDomain), std::string(kAttackedNode), id, sequence, 2, issued_ms,
          issued_ms + kLifeMs};
}

trust::Freshness statement(const Domain& domain, uint64_t sequence, const trust::ClassId& id,
                           TimeMs issued_ms) {
  trust::Freshness out = domain.freshness("", sequence, issued_ms, kHeads);
  out.class_id = id;
  return out;
}

// Signs a payload as another type than its own.
Bytes sealed_as(Bytes payload, std::string_view type) {
  trust::Envelope envelope{std::move(payload), std::string(type), {}};
  trust::sign_envelope(envelope, key(keys::kFreshness));
  return envelope.encode();
}

// The signature of an envelope as an update without a base; `of_class` as the attacker likes.
wire::FreshnessUpdate update_of(const trust::Freshness& freshness, ByteView envelope,
                                bool of_class) {
  auto update = session::make_freshness_update(
      freshness, trust::Envelope::decode(envelope)->signatures.front().signature, nullptr);
  update.of_class = of_class;
  return update;
}

struct Stage {
  const Domain& domain;
  AttackedAgent& agent;

  TimeMs now_ms() const { return agent.now().wall_ms; }
  void assign(const trust::Assignment& honest) const {
    agent.send(wire::Assignment{sealed(honest, kHonest)});
  }
  void attest(const trust::Freshness& honest) const {
    agent.send_freshness(honest, sealed(honest, kHonest));
  }
  // The node's trusted state, as its store has it.
  trust::Trusted trusted() const {
    const NodeState state = agent.state();
    trust::Trusted out;
    out.root = std::make_shared<const trust::Root>(domain.root(state.root_version));
    out.freshness_sequence = state.freshness_sequence;
    out.audience = kAttackedNode;
    for (const auto& [ledger, floor] : state.floors)
      out.ledgers[ledger] = {floor, state.listed.at(ledger)};
    if (!state.assignment.empty())
      out.assignment =
          trust::Assignment::decode(trust::Envelope::decode(state.assignment)->payload).value();
    return out;
  }
};

// What arrives: an assignment's envelope, or that of a statement, which the agent gets as an
// update.
struct Feed {
  Bytes assignment = {};
  Bytes statement = {};
  std::optional<wire::FreshnessUpdate> update = {};
};
Feed feed(const trust::Assignment& what, const std::vector<uint8_t>& signers = kHonest) {
  return {.assignment = sealed(what, signers)};
}
Feed feed(const trust::Freshness& what, const std::vector<uint8_t>& signers = kHonest) {
  const Bytes envelope = sealed(what, signers);
  return {.statement = envelope, .update = update_of(what, envelope, what.class_id.has_value())};
}

struct Row {
  std::string_view name;
  std::string_view check;  // that refuses the envelope
  ErrorCode code;
  std::function<Feed(Stage&)> attack;
  // The agent's, which rebuilds a statement of a class for its own class before it verifies it.
  std::optional<ErrorCode> agent_code = {};
};

const std::vector<Row> kRows = {
    // --- assignments
    {"another node's assignment", "assignment.audience", ErrorCode::kWrongTarget,
     [](Stage& s) {
       trust::Assignment other = assignment(11, kForeign, s.now_ms());
       other.audience = kNeighbour;
       return feed(other);
     }},
    {"an old assignment, replayed after a change of class", "assignment.sequence",
     ErrorCode::kReplay, [](Stage& s) { return feed(assignment(9, kFormer, s.now_ms())); }},
    {"two assignments of one sequence", "assignment.sequence", ErrorCode::kEquivocation,
     [](Stage& s) { return feed(assignment(kLastAssignment, kForeign, s.now_ms())); }},
    {"the last assignment with a longer life", "assignment.sequence", ErrorCode::kEquivocation,
     [](Stage& s) {
       trust::Assignment longer = *s.trusted().assignment;
       longer.expires_ms += 1;
       return feed(longer);
     }},
    {"an assignment held back until it expired", "assignment.expiry", ErrorCode::kExpired,
     [](Stage& s) {
       const Feed held = feed(assignment(11, kFormer, s.now_ms()));
       s.agent.advance(kLifeMs);
       s.agent.connect();
       return held;
     }},
    {"an assignment that had expired before", "assignment.expiry", ErrorCode::kExpired,
     [](Stage& s) { return feed(assignment(11, kFormer, s.now_ms() - kLifeMs)); }},
    {"an assignment from the future", "assignment.issued", ErrorCode::kClock,
     [](Stage& s) {
       return feed(assignment(11, kForeign, s.now_ms() + limits::kClockSkewMs + 1));
     }},
    {"an assignment of a root that the node was not given", "assignment.root",
     ErrorCode::kRootInvalid,
     [](Stage& s) {
       trust::Assignment of_next = assignment(11, kForeign, s.now_ms());
       of_next.root_version = 3;
       return feed(of_next);
     }},
    {"an assignment of another domain with the same key", "assignment.domain",
     ErrorCode::kWrongTarget,
     [](Stage& s) {
       trust::Assignment other = assignment(11, kForeign, s.now_ms());
       other.trust_domain = "staging.internal";
       other.audience = "spiffe://staging.internal/node/victim";
       return feed(other);
     }},
    {"an assignment by a key that this root never had", "assignment.signature",
     ErrorCode::kSignature,
     [](Stage& s) { return feed(assignment(11, kForeign, s.now_ms()), {keys::kNextFreshness}); }},
    {"an assignment by publishers", "assignment.signature", ErrorCode::kSignature,
     [](Stage& s) {
       return feed(assignment(11, kForeign, s.now_ms()),
                   {keys::kPublisher1, keys::kPublisher2, keys::kLabPublisher});
     }},
    {"an assignment by a threshold of root keys", "assignment.signature", ErrorCode::kSignature,
     [](Stage& s) {
       return feed(assignment(11, kForeign, s.now_ms()), {keys::kRoot1, keys::kRoot2});
     }},
    {"an assignment by the key of the registry's certificate", "assignment.signature",
     ErrorCode::kSignature,
     [](Stage& s) { return feed(assignment(11, kForeign, s.now_ms()), {keys::kThief}); }},
    {"an assignment without a signature", "assignment.signature", ErrorCode::kSignature,
     [](Stage& s) { return feed(assignment(11, kForeign, s.now_ms()), {}); }},
    {"an assignment with its last byte cut off", "assignment.envelope", ErrorCode::kEnvelope,
     [](Stage& s) {
       Feed cut = feed(assignment(11, kOwn, s.now_ms()));
       cut.assignment.pop_back();
       return cut;
     }},
    {"an assignment with a field more in its envelope", "assignment.envelope", ErrorCode::kEnvelope,
     [](Stage& s) {
       Feed longer = feed(assignment(11, kOwn, s.now_ms()));
       longer.assignment += "\x20\x01";
       return longer;
     }},
    {"an assignment with a field more in its statement", "assignment.statement",
     ErrorCode::kStatement,
     [](Stage& s) {
       const Bytes payload = assignment(11, kOwn, s.now_ms()).encode() + "\x40\x01";
       return Feed{.assignment = sealed_as(payload, trust::kAssignmentType)};
     }},
    {"an assignment for longer than the limit", "assignment.statement", ErrorCode::kStatement,
     [](Stage& s) {
       trust::Assignment longer = assignment(11, kOwn, s.now_ms());
       longer.expires_ms = longer.issued_ms + limits::kAssignmentLifetimeMsMax + 1;
       return feed(longer);
     }},
    {"a freshness statement in the place of an assignment", "assignment.envelope",
     ErrorCode::kEnvelope,
     [](Stage& s) {
       return Feed{.assignment = sealed(statement(s.domain, 11, kOwn, s.now_ms()), kHonest)};
     }},
    {"a freshness statement under the type of assignments", "assignment.statement",
     ErrorCode::kStatement,
     [](Stage& s) {
       const trust::Freshness honest = s.domain.freshness(kAttackedNode, 11, s.now_ms(), kHeads);
       return Feed{.assignment = sealed_as(honest.encode(), trust::kAssignmentType)};
     }},

    // --- statements of a class
    {"another class's statement", "freshness.class", ErrorCode::kWrongTarget,
     [](Stage& s) { return feed(statement(s.domain, 11, kForeign, s.now_ms())); },
     ErrorCode::kSignature},
    {"a statement of the class that the node was in before", "freshness.class",
     ErrorCode::kWrongTarget,
     [](Stage& s) { return feed(statement(s.domain, 11, kFormer, s.now_ms())); },
     ErrorCode::kSignature},
    {"a statement of the class after the assignment has expired", "freshness.class",
     ErrorCode::kExpired,
     [](Stage& s) {
       s.agent.advance(kLifeMs);
       s.agent.connect();
       return feed(statement(s.domain, 11, kOwn, s.now_ms()));
     }},
    {"the class's statement before the last one", "freshness.sequence", ErrorCode::kReplay,
     [](Stage& s) { return feed(statement(s.domain, 5, kOwn, s.now_ms())); }},
    {"the class's last statement once more", "freshness.sequence", ErrorCode::kReplay,
     [](Stage& s) { return feed(statement(s.domain, kLastStatement, kOwn, s.now_ms())); }},
    {"the node's own statement from before the class's", "freshness.sequence", ErrorCode::kReplay,
     [](Stage& s) {
       return feed(s.domain.freshness(kAttackedNode, kLastStatement, s.now_ms(), kHeads));
     }},
    {"a statement of the class held back until it expired", "freshness.expiry", ErrorCode::kExpired,
     [](Stage& s) {
       const Feed held = feed(statement(s.domain, 11, kOwn, s.now_ms()));
       s.agent.advance(16 * kMinuteMs);
       s.agent.connect();
       return held;
     }},
    {"a statement of the class from the future", "freshness.issued", ErrorCode::kClock,
     [](Stage& s) {
       return feed(statement(s.domain, 11, kOwn, s.now_ms() + limits::kClockSkewMs + 1));
     }},
    {"a statement of the class by publishers", "freshness.signature", ErrorCode::kSignature,
     [](Stage& s) { return feed(statement(s.domain, 11, kOwn, s.now_ms()), {keys::kPublisher1}); }},
    {"a statement of the class without a ledger", "freshness.complete", ErrorCode::kVanished,
     [](Stage& s) {
       trust::Freshness less = statement(s.domain, 11, kOwn, s.now_ms());
       less.heads.pop_back();
       return feed(less);
     }},
    {"a statement of the class with older heads", "freshness.floor", ErrorCode::kRollback,
     [](Stage& s) {
       trust::Freshness older =
           s.domain.freshness("", 11, s.now_ms(), {{kGateway, 2}, {kPayments, 1}});
       older.class_id = kOwn;
       return feed(older);
     }},
    {"the node's own statement under the type of a class", "freshness.statement",
     ErrorCode::kStatement,
     [](Stage& s) {
       const trust::Freshness own = s.domain.freshness(kAttackedNode, 11, s.now_ms(), kHeads);
       return Feed{.statement = sealed_as(own.encode(), trust::kClassFreshnessType),
                   .update = update_of(own, sealed(own, kHonest), true)};
     },
     ErrorCode::kSignature},
    {"a statement of the class under the type for one node", "freshness.statement",
     ErrorCode::kStatement,
     [](Stage& s) {
       const trust::Freshness of_class = statement(s.domain, 11, kOwn, s.now_ms());
       return Feed{.statement = sealed_as(of_class.encode(), trust::kFreshnessType),
                   .update = update_of(of_class, sealed(of_class, kHonest), false)};
     },
     ErrorCode::kSignature},
    {"an assignment in the place of a statement", "freshness.envelope", ErrorCode::kEnvelope,
     [](Stage& s) {
       const trust::Freshness own = statement(s.domain, 11, kOwn, s.now_ms());
       const Bytes envelope = sealed(assignment(11, kOwn, s.now_ms()), kHonest);
       return Feed{.statement = envelope, .update = update_of(own, envelope, true)};
     },
     ErrorCode::kSignature},
    {"a statement of the class with its last byte cut off", "freshness.envelope",
     ErrorCode::kEnvelope,
     [](Stage& s) {
       Feed cut = feed(statement(s.domain, 11, kOwn, s.now_ms()));
       cut.statement.pop_back();
       cut.update->signature.back() ^= 1;  // an update is a frame, which has its length
       return cut;
     },
     ErrorCode::kSignature},
    {"a statement of the class with a field more", "freshness.statement", ErrorCode::kStatement,
     [](Stage& s) {
       const trust::Freshness own = statement(s.domain, 11, kOwn, s.now_ms());
       const Bytes envelope = sealed_as(own.encode() + "\x40\x01", trust::kClassFreshnessType);
       return Feed{.statement = envelope, .update = update_of(own, envelope, true)};
     },
     ErrorCode::kSignature},
};

// The node knows its class, and the registry has vouched to it.
void begin(const Stage& s) {
  s.agent.connect();
  s.assign(assignment(kLastAssignment, kOwn, s.now_ms()));
  s.attest(statement(s.domain, kLastStatement, kOwn, s.now_ms()));
  REQUIRE(s.agent.take_codes().empty());
  const NodeState state = s.agent.state();
  REQUIRE(state.freshness_sequence == kLastStatement);
  REQUIRE_FALSE(state.assignment.empty());
}

// The name of the check that refuses the envelope, and its code.
std::pair<std::string, ErrorCode> refusal_of(const Stage& s, const Feed& what) {
  trust::Update update;
  if (!what.assignment.empty()) update.assignment = what.assignment;
  if (!what.statement.empty()) update.freshness = what.statement;
  update.expected = {kGateway, kPayments};
  std::vector<trust::VerifyStep> steps;
  const trust::Verdict verdict = trust::verify_update(update, s.trusted(), s.now_ms(), &steps);
  if (!verdict.error) return {"accepted", ErrorCode::kInternal};
  return {std::string(steps.back().check), verdict.error->code};
}

void check_goes_on(const Stage& s, uint64_t sequence = 20) {
  s.agent.disconnect();
  s.agent.connect();
  s.assign(assignment(20, kForeign, s.now_ms()));  // its class has changed
  trust::Freshness next =
      s.domain.freshness("", sequence, s.now_ms(), {{kGateway, 2}, {kPayments, 3}});
  next.class_id = kForeign;
  s.attest(next);
  s.agent.send_release(s.domain.release(kPayments, 3));
  CHECK(s.agent.take_codes().empty());
  CHECK(s.agent.decides_with(kPayments, s.domain.release(kPayments, 3)));
  CHECK(s.agent.state().freshness_sequence == sequence);
  CHECK(s.agent.freshness_status(kPayments).state == trust::FreshnessState::kFresh);
}

void run_row(const Row& row, bool restarted) {
  CAPTURE(row.name);
  CAPTURE(restarted);
  const Domain domain;
  AttackedAgent agent(domain);
  Stage stage{domain, agent};
  begin(stage);
  if (restarted) agent.restart();
  agent.connect();
  const NodeState before = agent.state();

  const Feed what = row.attack(stage);
  agent.take_codes();
  CHECK(refusal_of(stage, what) == std::pair(std::string(row.check), row.code));
  if (what.update)
    agent.send(*what.update);
  else
    agent.send(wire::Assignment{what.assignment});

  CHECK(agent.take_codes().contains(row.agent_code.value_or(row.code)));
  CHECK(agent.state() == before);
  if (restarted) {
    agent.restart();
    CHECK(agent.state() == before);
  }
  check_goes_on(stage);
}

TEST_CASE("no statement of a class, and no assignment, counts for whom or when it was not made") {
  for (const Row& row : kRows)
    for (const bool restarted : {false, true}) run_row(row, restarted);
  MESSAGE(kRows.size(), " attacks, each before and after a restart: 0 successes");
}

TEST_CASE(
    "a statement of a class without any assignment says nothing, before and after a restart") {
  for (const bool restarted : {false, true}) {
    CAPTURE(restarted);
    const Domain domain;
    AttackedAgent agent(domain);
    const Stage stage{domain, agent};
    if (restarted) agent.restart();
    agent.connect();
    const NodeState before = agent.state();
    const Feed what = feed(statement(domain, 11, kOwn, stage.now_ms()));
    CHECK(refusal_of(stage, what) ==
          std::pair(std::string("freshness.class"), ErrorCode::kWrongTarget));
    agent.send(*what.update);
    CHECK(agent.take_codes().contains(ErrorCode::kWrongTarget));
    CHECK(agent.state() == before);
    check_goes_on(stage);
  }
}

TEST_CASE("a node kept in its former class ages from the end of that assignment on") {
  const Domain domain;
  AttackedAgent agent(domain);
  const Stage stage{domain, agent};
  begin(stage);
  const TimeMs assigned_ms = stage.now_ms();
  // The registry has put it into another class; the newer assignment is held back, and what the
  // registry says to the former class passes.
  uint64_t sequence = kLastStatement;
  while (stage.now_ms() + 10 * kMinuteMs < assigned_ms + kLifeMs) {
    agent.advance(10 * kMinuteMs);
    agent.connect();
    agent.take_codes();
    stage.attest(statement(domain, ++sequence, kOwn, stage.now_ms()));
    REQUIRE(agent.take_codes().empty());
  }
  CHECK(agent.freshness_status(kPayments).state == trust::FreshnessState::kFresh);
  const TimeMs vouched_ms = agent.freshness_status(kPayments).vouched_ms;
  const uint64_t last = sequence;
  for (int i = 0; i < 3; ++i) {
    agent.advance(10 * kMinuteMs);
    agent.connect();
    agent.take_codes();
    stage.attest(statement(domain, ++sequence, kOwn, stage.now_ms()));
    // One alarm while it lasts.
    CHECK(agent.take_codes().contains(ErrorCode::kExpired) == (i == 0));
    CHECK(agent.state().freshness_sequence == last);
  }
  CHECK(agent.freshness_status(kPayments).state == trust::FreshnessState::kStale);
  CHECK(agent.freshness_status(kPayments).vouched_ms == vouched_ms);
  check_goes_on(stage, sequence + 1);
}

TEST_CASE("the key of an assignment is dropped: it is void, and so is what that key signs") {
  for (const bool restarted : {false, true}) {
    CAPTURE(restarted);
    const Domain domain;
    AttackedAgent agent(domain);
    const Stage stage{domain, agent};
    agent.connect();
    // A thief of the freshness key has signed a sequence that no later one exceeds.
    stage.assign(assignment(limits::kVersionMax, kForeign, stage.now_ms()));
    CHECK(agent.take_codes().empty());
    stage.assign(assignment(11, kOwn, stage.now_ms()));
    CHECK(agent.take_codes().contains(ErrorCode::kReplay));
    agent.disconnect();
    agent.connect();
    trust::Root root = domain.next_root();
    root.freshness_keys = {key(keys::kNextFreshness).public_key()};
    agent.send_root(sealed(root, {keys::kRoot1, keys::kRoot3}));
    CHECK(agent.state().assignment.empty());
    if (restarted) agent.restart();
    agent.connect();

    agent.take_codes();
    stage.assign(assignment(12, kForeign, stage.now_ms()));
    CHECK(agent.take_codes().contains(ErrorCode::kSignature));
    agent.disconnect();
    agent.connect();
    const trust::Freshness of_class = statement(domain, 11, kForeign, stage.now_ms());
    agent.send_freshness(of_class, sealed(of_class, {keys::kNextFreshness}));
    CHECK(agent.take_codes().contains(ErrorCode::kWrongTarget));
    // The new key assigns anew, with any sequence.
    agent.disconnect();
    agent.connect();
    agent.send(
        wire::Assignment{sealed(assignment(1, kOwn, stage.now_ms()), {keys::kNextFreshness})});
    const trust::Freshness honest = statement(domain, 1, kOwn, stage.now_ms());
    agent.send_freshness(honest, sealed(honest, {keys::kNextFreshness}));
    CHECK(agent.take_codes().empty());
    CHECK(agent.state().freshness_sequence == 1);
  }
}

TEST_CASE("statements for a node and for its class take turns, and each builds on its own kind") {
  const Domain domain;
  AttackedAgent agent(domain);
  const Stage stage{domain, agent};
  begin(stage);
  const auto send = [&](const trust::Freshness& next, const trust::Freshness* base) {
    const Bytes envelope = sealed(next, kHonest);
    agent.send(session::make_freshness_update(
        next, trust::Envelope::decode(envelope)->signatures.front().signature, base));
  };
  const trust::Freshness own7 = domain.freshness(kAttackedNode, 7, stage.now_ms(), kHeads);
  const trust::Freshness own9 = domain.freshness(kAttackedNode, 9, stage.now_ms(), kHeads);
  const trust::Freshness class6 = statement(domain, 6, kOwn, stage.now_ms());
  const trust::Freshness class8 = statement(domain, 8, kOwn, stage.now_ms());
  send(own7, nullptr);
  send(class8, &class6);
  send(own9, &own7);
  CHECK(agent.take_codes().empty());
  CHECK(agent.state().freshness_sequence == 9);
  // In another class, no statement builds on the last one of this class.
  stage.assign(assignment(11, kForeign, stage.now_ms()));
  trust::Freshness foreign10 = statement(domain, 10, kForeign, stage.now_ms()), base = class8;
  base.class_id = kForeign;
  send(foreign10, &base);
  CHECK(agent.take_codes().contains(ErrorCode::kState));
  CHECK(agent.state().freshness_sequence == 9);
}

TEST_CASE("an assignment of a registry whose clock is ahead counts when its time has come") {
  const Domain domain;
  AttackedAgent agent(domain);
  const Stage stage{domain, agent};
  begin(stage);
  const TimeMs ahead_ms = stage.now_ms() + limits::kClockSkewMs + 30'000;
  stage.assign(assignment(11, kForeign, ahead_ms));
  CHECK(agent.take_codes() == std::set{ErrorCode::kClock});
  stage.attest(statement(domain, 7, kForeign, ahead_ms));
  CHECK(agent.is_connected());
  CHECK(agent.state().freshness_sequence == kLastStatement);
  agent.advance(29'000);
  agent.take_codes();
  stage.attest(statement(domain, 8, kForeign, ahead_ms));
  CHECK(agent.state().freshness_sequence == kLastStatement);
  agent.advance(1'000);
  stage.attest(statement(domain, 9, kForeign, ahead_ms));
  CHECK(agent.state().freshness_sequence == 9);
  // It is durable: the next process has it.
  agent.restart();
  agent.connect();
  stage.attest(statement(domain, 12, kForeign, stage.now_ms()));
  CHECK(agent.state().freshness_sequence == 12);
}

}  // namespace
}  // namespace notp::attack
