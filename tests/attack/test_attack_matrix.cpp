// The attacks of the TUF specification (1.0.34 §1.5) against a node, each without stolen keys and
// with every set of keys below a threshold. The attacker controls the network and the registry with
// its TLS key: everything it sends arrives.
//
// Names in brackets are the corresponding cases of the TUF conformance suite. Of that suite, these
// do not apply: test_simple_snapshot_rollback and test_new_snapshot_version_mismatch (there is one
// freshness statement, no snapshot beside a timestamp), test_custom_fields (a statement with an
// unknown field is refused on purpose: protocol/trust/README.md, "One encoding"),
// test_wrong_hashing_algorithm and the key types (one algorithm), test_updater_delegation_graphs
// (delegations are one flat list), test_quoting_issues and test_file_download's names (paths are
// checked as a model's, in the unit tests of the model).
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>

#include "common/limits.hpp"
#include "protocol/delta/artifact.hpp"
#include "tests/attack/attacked_agent.hpp"
#include "tests/support/registry/model_samples.hpp"

namespace notp::attack {
namespace {

constexpr TimeMs kMinuteMs = 60'000;

struct Stage {
  const Domain& domain;
  const Thief thief;
  AttackedAgent& agent;

  TimeMs now_ms() const { return agent.now().wall_ms; }
  // The statement of an honest registry at this time, signed with the thief's freshness keys.
  void attest(uint64_t sequence, const std::map<model::LedgerId, uint64_t>& versions,
              const std::function<void(trust::Freshness&)>& change = {}) const {
    trust::Freshness freshness = domain.freshness(kAttackedNode, sequence, now_ms(), versions);
    if (change) change(freshness);
    agent.send_freshness(freshness, thief.seal_freshness(freshness));
  }
};

using Attack = std::function<void(Stage&)>;

// The outcome of an attack: refused with a code, or admitted by design, but then without any
// content of the attacker's.
using Outcome = std::optional<ErrorCode>;
constexpr Outcome kAdmitted = std::nullopt;

constexpr std::array kLevels = {Stolen::kNothing, Stolen::kFreshnessKey, Stolen::kOnePublisher,
                                Stolen::kOneRoot, Stolen::kAllBelow};
using Outcomes = std::array<Outcome, kLevels.size()>;

Outcomes always(ErrorCode code) { return {code, code, code, code, code}; }
// Without the freshness key the signature is wrong; with it, `then`.
Outcomes unless_freshness_key(Outcome then) {
  return {ErrorCode::kSignature, then, ErrorCode::kSignature, ErrorCode::kSignature, then};
}

struct Row {
  std::string_view name;
  Outcomes outcomes;
  Attack attack;
};

Bytes artifact_of(ByteView envelope, const model::ModelContent& content) {
  const delta::ReleaseContent target{envelope, content.tree.get(), content.loader()};
  return delta::encode_artifact(nullptr, target).value();
}

const std::map<model::LedgerId, uint64_t> kHeads = {{kGateway, 2}, {kPayments, 2}};

const std::vector<Row> kRows = {
    // --- arbitrary installation
    {"arbitrary install: a release of its own", always(ErrorCode::kSignature),
     [](Stage& s) {
       s.agent.send_release(
           s.thief.evil_release(kPayments, 3, s.domain.release(kPayments, 2).hash));
     }},
    {"arbitrary install: its content under an honest envelope "
     "[test_repository_substitutes_target_file]",
     always(ErrorCode::kContentRoot),
     [](Stage& s) {
       const SignedRelease evil = s.thief.evil_release(kPayments, 3, {});
       s.agent.send_artifact(kPayments, 3,
                             artifact_of(s.domain.release(kPayments, 3).envelope, evil.content));
     }},
    {"arbitrary install: a root that makes it a publisher", always(ErrorCode::kSignature),
     [](Stage& s) {
       trust::Root root = s.domain.next_root();
       root.delegations = {{"*/*", {key(keys::kThief).public_key()}, 1}};
       s.agent.send_root(s.thief.seal_root(root));
     }},
    {"arbitrary install: a root of its own keys alone "
     "[1-of-1-key-rotation-fail-not-signed-with-old-key]",
     always(ErrorCode::kSignature),
     [](Stage& s) {
       trust::Root root = s.domain.next_root();
       root.root_keys = {key(keys::kThief).public_key()};
       root.root_threshold = 1;
       s.agent.send_root(sealed(root, {keys::kThief}));
     }},
    {"arbitrary install: a freshness key of its own by a root of its own",
     always(ErrorCode::kSignature),
     [](Stage& s) {
       trust::Root root = s.domain.next_root();
       root.freshness_keys = {key(keys::kThief).public_key()};
       s.agent.send_root(s.thief.seal_root(root));
     }},

    // --- rollback
    {"rollback: an honest release that is older [test_targets_rollback]",
     always(ErrorCode::kRollback),
     [](Stage& s) { s.agent.send_release(s.domain.release(kPayments, 1)); }},
    {"rollback: an honest statement that is older [test_new_timestamp_version_rollback]",
     always(ErrorCode::kReplay),
     [](Stage& s) {
       const trust::Freshness old = s.domain.freshness(kAttackedNode, 4, s.now_ms() - kMinuteMs,
                                                       {{kGateway, 1}, {kPayments, 1}});
       s.agent.send_freshness(old, sealed(old, {keys::kFreshness}));
     }},
    {"rollback: a new statement with older heads [test_snapshot_rollback]",
     unless_freshness_key(ErrorCode::kRollback),
     [](Stage& s) { s.attest(6, {{kGateway, 2}, {kPayments, 1}}); }},
    {"rollback: a release that jumps back under a new number", always(ErrorCode::kSignature),
     [](Stage& s) {
       const SignedRelease& old = s.domain.release(kPayments, 1);
       trust::Release release =
           release_of(kPayments, 3, s.domain.release(kPayments, 2).hash, old.content, s.now_ms());
       s.agent.send_release(seal(std::move(release), old.content, s.thief.publisher_keys()));
     }},

    // --- freeze
    {"freeze: the last statement once more [test_timestamp_eq_versions_check]",
     always(ErrorCode::kReplay),
     [](Stage& s) {
       const trust::Freshness last = s.domain.freshness(kAttackedNode, 5, kStartMs, kHeads);
       s.agent.send_freshness(last, sealed(last, {keys::kFreshness}));
     }},
    {"freeze: another statement under the last number [test_timestamp_content_changes]",
     unless_freshness_key(ErrorCode::kReplay), [](Stage& s) { s.attest(5, kHeads); }},
    {"freeze: an honest statement held back until it expired [test_timestamp_expired]",
     always(ErrorCode::kExpired),
     [](Stage& s) {
       const trust::Freshness held = s.domain.freshness(kAttackedNode, 9, s.now_ms(), kHeads);
       s.agent.advance(16 * kMinuteMs);
       s.agent.connect();
       s.agent.send_freshness(held, sealed(held, {keys::kFreshness}));
     }},
    {"freeze: vouching on for what is not the newest any more", unless_freshness_key(kAdmitted),
     [](Stage& s) { s.attest(6, kHeads); }},
    {"freeze: vouching in advance", unless_freshness_key(ErrorCode::kClock),
     [](Stage& s) {
       s.attest(6, kHeads, [](trust::Freshness& f) {
         f.issued_ms += limits::kClockSkewMs + kMinuteMs;
         f.expires_ms += limits::kClockSkewMs + kMinuteMs;
       });
     }},

    // --- mix and match
    {"mix and match: another ledger's release in the place of this one's",
     always(ErrorCode::kWrongTarget),
     [](Stage& s) { s.agent.send_release(s.domain.release(kGateway, 3), kPayments, 3); }},
    {"mix and match: an old content under a new envelope [test_new_targets_hash_mismatch]",
     always(ErrorCode::kContentRoot),
     [](Stage& s) {
       s.agent.send_artifact(kPayments, 3,
                             artifact_of(s.domain.release(kPayments, 3).envelope,
                                         s.domain.release(kPayments, 1).content));
     }},
    {"mix and match: one ledger new, the other one fallen",
     unless_freshness_key(ErrorCode::kRollback),
     [](Stage& s) { s.attest(6, {{kGateway, 1}, {kPayments, 3}}); }},
    {"mix and match: a ledger left out", unless_freshness_key(ErrorCode::kVanished),
     [](Stage& s) { s.attest(6, {{kPayments, 2}}); }},
    {"mix and match: a release offered under another version [test_new_targets_version_mismatch]",
     always(ErrorCode::kWrongTarget),
     [](Stage& s) { s.agent.send_release(s.domain.release(kPayments, 3), kPayments, 4); }},

    // --- endless data
    {"endless data: more bytes than were signed", always(ErrorCode::kArtifact),
     [](Stage& s) {
       const model::ModelContent endless =
           samples::model_of({{"manifest.json", std::string(1 << 20, ' ')}});
       s.agent.send_artifact(kPayments, 3,
                             artifact_of(s.domain.release(kPayments, 3).envelope, endless));
     }},
    {"endless data: more files than were signed", always(ErrorCode::kArtifact),
     [](Stage& s) {
       samples::Texts texts;
       for (int i = 0; i < 1'000; ++i) texts[fmt::format("f{}", i)] = "";
       s.agent.send_artifact(
           kPayments, 3,
           artifact_of(s.domain.release(kPayments, 3).envelope, samples::model_of(texts)));
     }},
    {"endless data: bytes behind the end of an artifact", always(ErrorCode::kArtifact),
     [](Stage& s) {
       const SignedRelease& honest = s.domain.release(kPayments, 3);
       s.agent.send_artifact(kPayments, 3,
                             artifact_of(honest.envelope, honest.content) + Bytes(4'096, '\0'));
     }},

    // --- fast-forward
    {"fast-forward: a release with the last version there is", always(ErrorCode::kSignature),
     [](Stage& s) {
       s.agent.send_release(
           s.thief.evil_release(kPayments, limits::kVersionMax, sha256("some release")));
     }},
    {"fast-forward: a root with the last version there is", always(ErrorCode::kRootInvalid),
     [](Stage& s) {
       trust::Root root = s.domain.next_root();
       root.version = limits::kVersionMax;
       s.agent.send_root(s.thief.seal_root(root));
     }},
    {"fast-forward: a statement with the last sequence there is", unless_freshness_key(kAdmitted),
     [](Stage& s) { s.attest(limits::kVersionMax, kHeads); }},
    {"fast-forward: a head with the last version there is", unless_freshness_key(kAdmitted),
     [](Stage& s) {
       s.attest(6, kHeads, [](trust::Freshness& f) {
         f.heads.back().version = limits::kVersionMax;
         f.heads.back().release_hash = sha256("a release that nobody has");
       });
     }},
    {"fast-forward: an epoch that no root has reached", always(ErrorCode::kWrongTarget),
     [](Stage& s) {
       const SignedRelease& honest = s.domain.release(kPayments, 3);
       trust::Release release = honest.release;
       release.epoch = 2;
       s.agent.send_release(
           seal(std::move(release), honest.content, {keys::kPublisher1, keys::kPublisher2}));
     }},

    // --- wrong target
    {"wrong target: another team's release, signed by that team", always(ErrorCode::kSignature),
     [](Stage& s) { s.agent.send_release(s.domain.release(kLab, 1), kPayments, 3); }},
    {"wrong target: this ledger's name signed by another team's key", always(ErrorCode::kSignature),
     [](Stage& s) {
       const SignedRelease& honest = s.domain.release(kPayments, 3);
       s.agent.send_release(seal(honest.release, honest.content, {keys::kLabPublisher}));
     }},
    {"wrong target: a release of another trust domain with the same publishers",
     always(ErrorCode::kWrongTarget),
     [](Stage& s) {
       const SignedRelease& honest = s.domain.release(kPayments, 3);
       trust::Release release = honest.release;
       release.trust_domain = "staging.internal";
       s.agent.send_release(
           seal(std::move(release), honest.content, {keys::kPublisher1, keys::kPublisher2}));
     }},
    {"wrong target: a root of another trust domain with the same root keys",
     always(ErrorCode::kWrongTarget),
     [](Stage& s) {
       trust::Root root = s.domain.next_root();
       root.trust_domain = "staging.internal";
       s.agent.send_root(sealed(root, {keys::kRoot1, keys::kRoot2}));
     }},
    {"wrong target: an honest statement for another node", always(ErrorCode::kSignature),
     [](Stage& s) {
       const trust::Freshness other = s.domain.freshness(kNeighbour, 7, s.now_ms(), kHeads);
       s.agent.send_freshness(other, sealed(other, {keys::kFreshness}));
     }},

    // --- equivocation
    {"equivocation: a second release of the version that is active", always(ErrorCode::kSignature),
     [](Stage& s) {
       s.agent.send_release(
           s.thief.evil_release(kPayments, 2, s.domain.release(kPayments, 1).hash));
     }},
    {"equivocation: two honest signers, two releases of one version",
     always(ErrorCode::kEquivocation),
     [](Stage& s) {
       const SignedRelease& honest = s.domain.release(kPayments, 2);
       trust::Release release = honest.release;
       release.issued_ms += 1;
       s.agent.send_release(
           seal(std::move(release), honest.content, {keys::kPublisher1, keys::kPublisher2}));
     }},
    {"equivocation: a statement with another hash of the active version",
     unless_freshness_key(ErrorCode::kEquivocation),
     [](Stage& s) {
       s.attest(6, kHeads, [](trust::Freshness& f) {
         f.heads.back().release_hash = sha256("another release");
       });
     }},
    {"equivocation: a history that was never this node's", always(ErrorCode::kEquivocation),
     [](Stage& s) {
       const SignedRelease& honest = s.domain.release(kPayments, 3);
       trust::Release release = honest.release;
       release.previous_hash = sha256("another history");
       s.agent.send_release(
           seal(std::move(release), honest.content, {keys::kPublisher1, keys::kPublisher2}));
     }},

    // --- replay of an old root
    {"old root: the pinned root once more", always(ErrorCode::kRollback),
     [](Stage& s) { s.agent.send_root(s.domain.root_envelope(1)); }},
    {"old root: the newest root once more", always(ErrorCode::kRollback),
     [](Stage& s) { s.agent.send_root(s.domain.root_envelope(2)); }},
    {"old root: an epoch that falls, by honest keys", always(ErrorCode::kRollback),
     [](Stage& s) {
       trust::Root root = s.domain.next_root();
       root.epoch = 0;
       s.agent.send_root(sealed(root, {keys::kRoot1, keys::kRoot2}));
     }},
    {"old root: a version left out", always(ErrorCode::kRootInvalid),
     [](Stage& s) {
       trust::Root root = s.domain.next_root();
       root.version = 4;
       s.agent.send_root(sealed(root, {keys::kRoot1, keys::kRoot2}));
     }},

    // --- replay of an old freshness: see rollback and freeze; and of another root's
    {"old freshness: signed by a key that this root never had", always(ErrorCode::kSignature),
     [](Stage& s) {
       const trust::Freshness freshness = s.domain.freshness(kAttackedNode, 6, s.now_ms(), kHeads);
       s.agent.send_freshness(freshness, sealed(freshness, {keys::kNextFreshness}));
     }},
    {"old freshness: of a root that this node was not given",
     unless_freshness_key(ErrorCode::kRootInvalid),
     [](Stage& s) { s.attest(6, kHeads, [](trust::Freshness& f) { f.root_version = 3; }); }},
};

std::string codes_text(const std::set<ErrorCode>& codes) {
  std::string text;
  for (const ErrorCode code : codes) text += std::string(error_traits(code).name) + " ";
  return text;
}

bool all_honest(const Domain& domain, const NodeState& state) {
  const auto honest = [&](const model::LedgerId& ledger, const auto& matches) {
    for (uint64_t version = 1; version <= 3; ++version)
      if (matches(domain.release(ledger, version))) return true;
    return false;
  };
  return std::ranges::all_of(
             state.stored,
             [&](const auto& entry) {
               return std::ranges::all_of(entry.second, [&](const Hash& hash) {
                 return honest(entry.first, [&](const SignedRelease& r) { return r.hash == hash; });
               });
             }) &&
         std::ranges::all_of(state.active, [&](const auto& entry) {
           return honest(entry.first, [&](const SignedRelease& r) {
             return r.release.content_root == entry.second;
           });
         });
}

// An honest registry must be able to continue with the same node afterwards.
void check_goes_on(const Domain& domain, AttackedAgent& agent) {
  agent.disconnect();
  agent.connect();
  const trust::Freshness freshness =
      domain.freshness(kAttackedNode, 20, agent.now().wall_ms, {{kGateway, 2}, {kPayments, 3}});
  agent.send_freshness(freshness, sealed(freshness, {keys::kFreshness}));
  agent.send_release(domain.release(kPayments, 3));
  CHECK(agent.decides_with(kPayments, domain.release(kPayments, 3)));
  CHECK(agent.state().freshness_sequence == 20);
  CHECK(agent.freshness_status(kPayments).state == trust::FreshnessState::kFresh);
}

void run_row(const Row& row, size_t level) {
  CAPTURE(row.name);
  CAPTURE(name_of(kLevels[level]));
  const Domain domain;
  AttackedAgent agent(domain);
  Stage stage{domain, Thief(kLevels[level]), agent};
  agent.connect();
  const NodeState before = agent.state();
  agent.take_codes();

  row.attack(stage);

  const std::set<ErrorCode> codes = agent.take_codes();
  const NodeState after = agent.state();
  CHECK(all_honest(domain, after));
  CHECK(agent.decides_with(kPayments, domain.release(kPayments, 2)));
  CHECK(after.root_version == before.root_version);
  CHECK(after.floors == before.floors);
  const Outcome& expected = row.outcomes[level];
  if (!expected) {
    CHECK(codes.empty());
    return;
  }
  INFO("codes seen: ", codes_text(codes), ", expected ", error_traits(*expected).name);
  CHECK(codes.contains(*expected));
  CHECK(after == before);
  check_goes_on(domain, agent);
}

TEST_CASE("no attack below the thresholds succeeds, each is refused with its own code") {
  size_t refused = 0, admitted = 0;
  for (const Row& row : kRows)
    for (size_t level = 0; level < kLevels.size(); ++level) {
      run_row(row, level);
      ++(row.outcomes[level] ? refused : admitted);
    }
  MESSAGE(refused, " attacks refused, ", admitted, " admitted by the design, 0 successes");
}

TEST_CASE("freeze by silence: a node that hears nothing says so, and ends as its publisher wants") {
  const Domain domain;
  AttackedAgent agent(domain);
  agent.connect();
  agent.disconnect();
  CHECK(agent.freshness_status(kPayments).state == trust::FreshnessState::kFresh);
  agent.advance(kFreshS * 1'000 + 1);
  CHECK(agent.freshness_status(kPayments).state == trust::FreshnessState::kStale);
  CHECK(agent.serves(kPayments));
  agent.advance((kHardS - kFreshS) * 1'000);
  CHECK(agent.freshness_status(kPayments).state == trust::FreshnessState::kExpired);
  CHECK_FALSE(agent.serves(kPayments));
  // Neither setting a clock back nor a new process makes it valid again.
  agent.set_wall(kStartMs);
  agent.restart();
  CHECK(agent.freshness_status(kPayments).state == trust::FreshnessState::kExpired);
  CHECK_FALSE(agent.serves(kPayments));
}

TEST_CASE(
    "fast-forward by the freshness key ends with the root that replaces the key "
    "[test_new_timestamp_fast_forward_recovery]") {
  for (const bool head : {false, true}) {
    CAPTURE(head);
    const Domain domain;
    AttackedAgent agent(domain);
    const Stage stage{domain, Thief(Stolen::kFreshnessKey), agent};
    agent.connect();
    if (head)
      stage.attest(6, kHeads, [](trust::Freshness& f) { f.heads.back().version = 1'000'000; });
    else
      stage.attest(limits::kVersionMax, kHeads);
    // The honest registry is no longer accepted …
    agent.disconnect();
    agent.connect();
    trust::Freshness honest = domain.freshness(kAttackedNode, 7, agent.now().wall_ms, kHeads);
    agent.send_freshness(honest, sealed(honest, {keys::kFreshness}));
    CHECK_FALSE(agent.take_codes().empty());

    // … until a root replaces the key.
    agent.disconnect();
    agent.connect();
    trust::Root root = domain.next_root();
    root.freshness_keys = {key(keys::kNextFreshness).public_key()};
    agent.send_root(sealed(root, {keys::kRoot1, keys::kRoot3}));
    honest.root_version = 3;
    honest.sequence = 8;
    agent.send_freshness(honest, sealed(honest, {keys::kNextFreshness}));
    CHECK(agent.take_codes().empty());
    CHECK(agent.state().freshness_sequence == 8);
    CHECK(agent.state().listed.at(kPayments).version == 2);
    // The stolen key is useless now.
    stage.attest(9, kHeads);
    CHECK(agent.take_codes() == std::set{ErrorCode::kSignature});
  }
}

TEST_CASE(
    "a threshold of publisher keys stolen: what is installed ends with the next root, and a "
    "version that ran away with its epoch [test_new_targets_fast_forward_recovery]") {
  const Domain domain;
  AttackedAgent agent(domain);
  const Thief thief(Stolen::kPublishers);
  agent.connect();
  // The honest registry had already listed v3: the disagreement reveals the theft.
  const trust::Freshness listed =
      domain.freshness(kAttackedNode, 6, agent.now().wall_ms, {{kGateway, 2}, {kPayments, 3}});
  agent.send_freshness(listed, sealed(listed, {keys::kFreshness}));
  agent.send_release(thief.evil_release(kPayments, 3, domain.release(kPayments, 2).hash));
  CHECK(agent.take_codes() == std::set{ErrorCode::kEquivocation});
  CHECK(agent.decides_with(kPayments, domain.release(kPayments, 2)));

  // Admitted by design: the root trusts these keys.
  const SignedRelease evil = thief.evil_release(kPayments, 1'000'000'000, sha256("skipped"));
  agent.disconnect();
  agent.connect();
  agent.send_release(evil);
  CHECK(agent.decides_with(kPayments, evil));

  // The recovery: new publisher keys and a new epoch by the root, with the honest content.
  agent.disconnect();
  agent.connect();
  agent.take_codes();
  trust::Root root = domain.next_root();
  root.epoch = 2;
  root.delegations.front() = {
      "100000000000/*",
      {key(keys::kPublisher3).public_key(), key(keys::kPublisher4).public_key()},
      2};
  root.freshness_keys = {key(keys::kNextFreshness).public_key()};
  agent.send_root(sealed(root, {keys::kRoot2, keys::kRoot3}));
  CHECK(agent.state().root_version == 3);
  const SignedRelease& honest = domain.release(kPayments, 3);
  trust::Release release = honest.release;
  release.epoch = 2;
  release.version = 4;
  release.previous_hash = honest.hash;
  const SignedRelease recovered =
      seal(std::move(release), honest.content, {keys::kPublisher3, keys::kPublisher4});
  agent.send_release(recovered);
  CHECK(agent.take_codes().empty());
  CHECK(agent.decides_with(kPayments, recovered));
  // Later signatures by the stolen keys are refused, whatever the version.
  agent.send_release(thief.evil_release(kPayments, 1'000'000'001, evil.hash));
  CHECK(agent.take_codes() == std::set{ErrorCode::kSignature});
}

TEST_CASE("endless data: a chain of roots that does not end costs a session a bounded walk") {
  const Domain domain;
  AttackedAgent agent(domain);
  agent.connect();
  trust::Root root = domain.root(2);
  for (size_t i = 0; i <= limits::kRootStepsMax && agent.is_connected(); ++i) {
    ++root.version;
    agent.send_root(sealed(root, {keys::kRoot1, keys::kRoot2}));
  }
  CHECK_FALSE(agent.is_connected());
  const std::set<ErrorCode> codes = agent.take_codes();
  CHECK(codes.contains(ErrorCode::kLimit));
  CHECK(agent.state().root_version == 2 + limits::kRootStepsMax);
}

TEST_CASE("mix and match: what one registry began, another one is not blamed for") {
  const Domain domain;
  AttackedAgent agent(domain);
  const SignedRelease& honest = domain.release(kPayments, 3);
  const Bytes artifact = artifact_of(honest.envelope, honest.content);
  const Hash id = sha256(artifact);
  const size_t half = artifact.size() / 2;
  agent.connect();
  agent.send_part(kPayments, 3, id, artifact.size(), 0, Bytes(half, '\x01'));
  agent.disconnect();
  // The honest registry continues where the other one was cut.
  agent.connect();
  agent.send_part(kPayments, 3, id, artifact.size(), half, ByteView(artifact).substr(half));
  CHECK(agent.take_codes().empty());
  CHECK(agent.decides_with(kPayments, domain.release(kPayments, 2)));
  // It was asked for the whole artifact, and sends it.
  agent.send_release(honest);
  CHECK(agent.decides_with(kPayments, honest));
}

TEST_CASE("an expired root is walked over, and trusted for nothing new [test_root_expired]") {
  const Domain domain;
  AttackedAgent agent(domain);
  agent.connect();
  trust::Root root = domain.next_root();
  root.expires_ms = agent.now().wall_ms + kMinuteMs;
  agent.send_root(sealed(root, {keys::kRoot1, keys::kRoot2}));
  CHECK(agent.state().root_version == 3);
  agent.advance(2 * kMinuteMs);
  agent.take_codes();
  agent.connect();
  agent.send_release(domain.release(kPayments, 3));
  const std::set<ErrorCode> codes = agent.take_codes();
  CHECK(codes.contains(ErrorCode::kExpired));
  CHECK(agent.decides_with(kPayments, domain.release(kPayments, 2)));

  // With the next root the node continues.
  agent.disconnect();
  agent.connect();
  root.version = 4;
  root.expires_ms = 0;
  agent.send_root(sealed(root, {keys::kRoot1, keys::kRoot2}));
  agent.send_release(domain.release(kPayments, 3));
  CHECK(agent.decides_with(kPayments, domain.release(kPayments, 3)));
}

TEST_CASE("a node whose own statements have expired takes newer ones [test_expired_metadata]") {
  const Domain domain;
  AttackedAgent agent(domain);
  agent.connect();
  agent.disconnect();
  agent.advance(18LL * 86'400'000);
  agent.restart();
  check_goes_on(domain, agent);
}

}  // namespace
}  // namespace notp::attack
