// notp decisions prove and check, and verify against the registry's tree: what a registry that
// lies is found out by.
#include <doctest/doctest.h>

#include <set>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "tests/support/signed_tree.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/test_pki.hpp"
#include "tools/notp/audit/log_verifier.hpp"
#include "tools/notp/audit/proof_check.hpp"
#include "tools/notp/audit/tree_verifier.hpp"

namespace notp::cli {
namespace {

// A node's log of three segments: its start and what is active, then decisions.
SignedLog three_segments(uint8_t seed, std::string node = std::string(kNode),
                         const pki::Credential* authority = nullptr) {
  SignedLog log(seed, std::move(node), std::nullopt, authority);
  log.seal({at(record::RunStart{"notp-client 0.1.0", 1, "boot"}), at(active_set())});
  for (int segment = 0; segment < 2; ++segment) {
    std::vector<record::Record> records;
    for (int i = 0; i < 4; ++i)
      records.push_back(at(decision("payments/allow", R"({"amount":)" + std::to_string(i) + "}"),
                           kStartNs + i, 1, /*active=*/1));
    log.seal(std::move(records));
  }
  return log;
}

// A registry that has taken it whole.
struct Registry {
  explicit Registry(const pki::Credential* authority = nullptr)
      : log(three_segments(1, std::string(kNode), authority)), tree(authority) {
    store.logs = {&log};
    tree.logs = {&log};
    for (size_t i = 0; i < log.segments_.size(); ++i) tree.take(log, i);
  }
  AuditRecord decision(record::Position position) const {
    return {log.node(), log.id(), log.records()[position], {}, nullptr};
  }
  DecisionProof prove(record::Position position) {
    auto proof = fetch_proof(store, tree, decision(position));
    REQUIRE_MESSAGE(proof, proof.error().message);
    return *std::move(proof);
  }
  TreeVerifier verify_tree(std::optional<record::Checkpoint> kept = std::nullopt) {
    TreeVerifier verifier(std::string(kDomain), nullptr, std::move(kept));
    while (const auto from = verifier.wanted()) {
      const auto part = tree.ask(wire::TreeRequest{*from});
      REQUIRE(part);
      verifier.take(*part);
    }
    return verifier;
  }
  // The log, held against the tree.
  LogReport verify(bool may_see_all = false) {
    const TreeVerifier in_tree = verify_tree();
    REQUIRE_FALSE(in_tree.report().problem);
    const auto of_log = in_tree.logs().find(log.id());
    static const LogInTree kNone;
    LogVerifier verifier(log.row(), std::string(kDomain),
                         {.authorities = nullptr,
                          .in_tree = of_log == in_tree.logs().end() ? &kNone : &of_log->second,
                          .may_see_all = may_see_all});
    while (const auto position = verifier.wanted()) {
      auto fetched = fetch_segment(store, log.id(), *position);
      if (!fetched) {
        verifier.refuse(fetched.error());
        break;
      }
      if (const auto at = reduced.find(fetched->segment.head.first); at != reduced.end()) {
        fetched->segment.body = at->second;
        fetched->segment.head.secret = Bytes(record::kSegmentSecretBytes, '\0');
        fetched->reduced = true;
      }
      verifier.take(*fetched);
    }
    return std::move(verifier).finish();
  }
  // Takes the contents of some records away, as an erasure does.
  void erase(size_t segment, const std::set<size_t>& indices) {
    const record::Segment& each = log.segments_[segment];
    const auto opened = record::OpenedSegment::open(each.head, each.body);
    reduced[each.head.first] =
        *record::reduce(each.head, *opened, [&](size_t index) { return !indices.contains(index); });
  }
  record::TreeEntry erasure(record::Position first, uint64_t count,
                            std::vector<record::Position> positions) const {
    record::TreeEntry entry;
    entry.kind = record::TreeEntryKind::kErasure;
    entry.time_ms = kTakenMs;
    entry.log = log.id();
    entry.first = first;
    entry.count = count;
    for (const record::Position each : positions) entry.hashes.push_back(log.leaves()[each]);
    entry.positions = std::move(positions);
    entry.rule = "asked for by a person";
    return entry;
  }

  SignedLog log;
  FakeRegistry store;
  SignedTree tree;
  std::map<record::Position, Bytes> reduced;
};

// An authority that has issued the certificates of nodes and registry.
struct Authority {
  const pki::Credential credential =
      must(pki::make_authority("nodes", pki::Validity::days(read_clock().wall_ms, 30)));
  const NodeAuthorities authorities = read();

 private:
  NodeAuthorities read() const {
    const TemporaryFolder folder;
    must(write_file(folder.path() / "ca.pem", credential.certificate_pem));
    return must(NodeAuthorities::read(folder.path() / "ca.pem"));
  }
};

void check_difference(const LogReport& report, record::Position position, std::string_view text) {
  CHECK(report.state() == LogState::kDiffers);
  REQUIRE(report.problem);
  CHECK(report.problem->position == position);
  CHECK(report.problem->why.code == ErrorCode::kRegistrySplit);
  CHECK_MESSAGE(report.problem->why.message.contains(text), report.problem->why.message);
}

}  // namespace

// --- prove and check

TEST_CASE("a decision is proven from its record to the tree, with what was active") {
  Registry registry;
  const SignedLog other = three_segments(2, "spiffe://core.internal/node/edge-2");
  registry.tree.witnesses = {&registry.log, &other};
  const DecisionProof proof = registry.prove(7);
  const auto again = parse_decision_proof(to_json_text(proof));
  REQUIRE_MESSAGE(again, again.error().message);
  const ProofReport report = check_proof(*again, {});
  REQUIRE_MESSAGE(!report.error, report.error->message);
  CHECK(report.node == kNode);
  CHECK(report.decision == registry.log.records()[7]);
  REQUIRE(report.active);
  CHECK(report.active->releases.size() == 2);
  CHECK(report.cosigned == 2);
  // Without the record itself.
  const size_t bytes = to_json_text(proof).size() - to_base64(proof.decision.record).size();
  MESSAGE("a proof with its active set takes ", bytes, " bytes beside the record");
}

TEST_CASE("no byte of a proof can be changed") {
  const Authority authority;
  Registry registry(&authority.credential);
  const SignedLog other =
      three_segments(2, "spiffe://core.internal/node/edge-2", &authority.credential);
  registry.tree.witnesses = {&other};
  const DecisionProof proof = registry.prove(5);
  const auto is_refused = [&](const DecisionProof& changed) {
    return check_proof(changed, {.authorities = &authority.authorities}).error.has_value();
  };
  REQUIRE_FALSE(is_refused(proof));
  size_t tried = 0;
  const auto flip_all = [&](auto part) {
    Bytes& bytes = part(const_cast<DecisionProof&>(proof));
    for (size_t i = 0; i < bytes.size(); ++i, ++tried) {
      bytes[i] = static_cast<char>(bytes[i] ^ 1);
      CHECK_MESSAGE(is_refused(proof), "byte ", i);
      bytes[i] = static_cast<char>(bytes[i] ^ 1);
    }
  };
  flip_all([](DecisionProof& p) -> Bytes& { return p.decision.record; });
  flip_all([](DecisionProof& p) -> Bytes& { return p.decision.salt; });
  flip_all([](DecisionProof& p) -> Bytes& { return p.decision.entry; });
  flip_all([](DecisionProof& p) -> Bytes& { return p.decision.in_log; });
  flip_all([](DecisionProof& p) -> Bytes& { return p.active->record; });
  flip_all([](DecisionProof& p) -> Bytes& { return p.tree_announcement; });
  CHECK(tried > 1'400);
  REQUIRE_FALSE(is_refused(proof));
}

TEST_CASE("a proof is not taken for another record, log or tree") {
  Registry registry, stranger;
  const DecisionProof proof = registry.prove(5);
  const auto code_of = [](const DecisionProof& changed) {
    const ProofReport report = check_proof(changed, {});
    return report.error ? std::optional(report.error->code) : std::nullopt;
  };
  DecisionProof other_record = proof;
  other_record.decision.record = registry.prove(6).decision.record;
  CHECK(code_of(other_record) == ErrorCode::kLogFork);
  DecisionProof other_place = proof;
  other_place.decision.in_log = registry.prove(6).decision.in_log;
  CHECK(code_of(other_place) == ErrorCode::kLogFork);
  // A leaf of the tree that is not this checkpoint's.
  DecisionProof other_leaf = proof;
  const ProvenRecord later = registry.prove(8).decision;
  other_leaf.decision.entry = later.entry;
  other_leaf.decision.in_tree = later.in_tree;
  CHECK(code_of(other_leaf) == ErrorCode::kRegistrySplit);
  // Another log's announcement, whose key has not signed the checkpoint.
  DecisionProof other_log = proof;
  other_log.log_announcement = three_segments(9).row().announcement;
  CHECK(code_of(other_log) == ErrorCode::kSignature);
  // The active set of another moment.
  DecisionProof other_active = proof;
  other_active.active = registry.prove(6).decision;
  CHECK(code_of(other_active) == ErrorCode::kMessage);
  DecisionProof undated = proof;
  undated.active.reset();
  CHECK_FALSE(code_of(undated));
  CHECK(check_proof(undated, {}).unchecked.back().starts_with("which release decided"));
}

TEST_CASE("anchors are asked for: authorities, and witnesses that must have cosigned") {
  const Authority authority;
  Registry registry(&authority.credential);
  const SignedLog other =
      three_segments(2, "spiffe://core.internal/node/edge-2", &authority.credential);
  registry.tree.witnesses = {&other};
  const DecisionProof proof = registry.prove(4);
  CHECK_FALSE(check_proof(proof, {.authorities = &authority.authorities}).error);
  DecisionProof self_signed = proof;
  self_signed.log_announcement = Registry().prove(4).log_announcement;
  CHECK(check_proof(self_signed, {.authorities = &authority.authorities}).error->code ==
        ErrorCode::kCertificateUntrusted);

  const record::NamedKey witness{record::log_origin(other.node(), other.id()),
                                 other.key().public_key(), true};
  const ProofReport cosigned = check_proof(proof, {.witnesses = {witness}});
  CHECK_FALSE(cosigned.error);
  CHECK(cosigned.cosigned == 2);
  const record::NamedKey absent{"witness.example/w1", PrivateKey::from_seed({5}).public_key(),
                                true};
  CHECK(check_proof(proof, {.witnesses = {absent}}).error->code == ErrorCode::kSignature);
}

TEST_CASE("a proof of what is erased, or not in the tree yet, is not made up") {
  Registry registry;
  registry.log.segments_[2] = registry.log.without_body(2);
  const auto erased = fetch_proof(registry.store, registry.tree, registry.decision(8));
  REQUIRE_FALSE(erased);
  CHECK(erased.error().code == ErrorCode::kNotFound);
  registry.tree.entries.pop_back();
  registry.tree.entries.pop_back();
  CHECK(fetch_proof(registry.store, registry.tree, registry.decision(4)).error().code ==
        ErrorCode::kNotFound);
}

// --- verify against the tree: twelve ways to lie

TEST_CASE("an honest registry is whole, and what is newer than its tree is said to be") {
  Registry registry;
  CHECK(registry.verify().state() == LogState::kWhole);
  registry.tree.entries.pop_back();
  const LogReport report = registry.verify();
  CHECK(report.state() == LogState::kWhole);
  CHECK(report.unsealed == 4);
}

TEST_CASE("lie 1: a segment that was taken is dropped") {
  Registry registry;
  registry.log.segments_.erase(registry.log.segments_.begin() + 1);
  const LogReport report = registry.verify();
  CHECK(report.state() == LogState::kDiffers);
  CHECK(report.problem->position == 2);
}

TEST_CASE("lie 2: the end of a log is dropped, and the log said to be shorter") {
  Registry registry;
  wire::LogRow row = registry.log.row();
  record::Frontier tree;
  for (size_t i = 0; i < 6; ++i) tree.append(registry.log.leaves()[i]);
  row.size = 6;
  row.root = tree.root();
  const TreeVerifier in_tree = registry.verify_tree();
  LogVerifier verifier(row, std::string(kDomain),
                       {.in_tree = &in_tree.logs().at(registry.log.id())});
  while (const auto position = verifier.wanted())
    verifier.take(*fetch_segment(registry.store, registry.log.id(), *position));
  check_difference(std::move(verifier).finish(), 6, "10 records of the log were taken");
}

TEST_CASE("lie 3: a whole log is dropped") {
  Registry registry;
  const TreeVerifier tree = registry.verify_tree();
  // The command compares the tree's logs with those that are listed.
  CHECK(tree.logs().contains(registry.log.id()));
}

TEST_CASE("lie 4: the node's records are rewritten, with its key or without") {
  Registry registry;
  // With the stolen log key everything is signed again; the tree remembers.
  SignedLog forged(1);
  forged.seal({at(record::RunStart{"notp-client 0.1.0", 1, "boot"}), at(active_set())});
  for (int segment = 0; segment < 2; ++segment)
    forged.seal({at(decision("payments/allow", "{}"), kStartNs, 1, 1),
                 at(decision("payments/allow", "{}"), kStartNs, 1, 1),
                 at(decision("payments/allow", "{}"), kStartNs, 1, 1),
                 at(decision("payments/allow", "{}"), kStartNs, 1, 1)});
  registry.store.logs = {&forged};
  registry.log.segments_ = forged.segments_;
  CHECK(registry.verify().state() == LogState::kDiffers);
  const TreeVerifier in_tree = registry.verify_tree();
  LogVerifier verifier(forged.row(), std::string(kDomain),
                       {.in_tree = &in_tree.logs().at(forged.id())});
  while (const auto position = verifier.wanted())
    verifier.take(*fetch_segment(registry.store, forged.id(), *position));
  check_difference(std::move(verifier).finish(), 2, "records were changed after");
}

TEST_CASE("lie 5: a leaf of the tree is changed, removed, or has another root") {
  Registry registry;
  const record::Checkpoint kept = registry.tree.checkpoint();
  record::TreeEntry other = *record::decode_tree_entry(registry.tree.entries[1]);
  other.root = sha256("another root");
  registry.tree.entries[1] = record::encode(other);
  // Signed anew, the tree is whole by itself, and not the one that was kept.
  const TreeVerifier rewritten = registry.verify_tree(kept);
  REQUIRE(rewritten.report().problem);
  CHECK(rewritten.report().problem->code == ErrorCode::kRegistrySplit);
  CHECK(rewritten.report().problem->message.contains("was rewritten"));
  check_difference(registry.verify(), 2, "records were changed after");
  registry.tree.entries.erase(registry.tree.entries.begin() + 1);
  CHECK(registry.verify_tree(kept).report().problem->message.contains("has shrunk"));
  check_difference(registry.verify(), 2, "has no leaf for the checkpoint at 6");
}

TEST_CASE("lie 6: the tree is rolled back to an older one") {
  Registry registry;
  const record::Checkpoint kept = registry.tree.checkpoint();
  registry.tree.entries.resize(1);
  CHECK(registry.verify_tree(kept).report().problem->message.contains("has shrunk"));
  CHECK_FALSE(registry.verify_tree().report().problem);
}

TEST_CASE("lie 7: a leaf is left out") {
  Registry registry;
  registry.tree.entries.erase(registry.tree.entries.begin() + 1);
  check_difference(registry.verify(), 2, "left out what it had taken");
}

TEST_CASE("lie 8: entries that are not those of the checkpoint") {
  Registry registry;
  TreeVerifier verifier{std::string(kDomain)};
  auto part = registry.tree.ask(wire::TreeRequest{0});
  std::swap(part->entries[0], part->entries[1]);
  verifier.take(*part);
  REQUIRE(verifier.report().problem);
  CHECK(verifier.report().problem->message.contains("its checkpoint says"));
  TreeVerifier short_of{std::string(kDomain)};
  part = registry.tree.ask(wire::TreeRequest{0});
  part->entries.clear();
  short_of.take(*part);
  CHECK(short_of.report().problem->message.contains("leaf 0 of the registry's tree is missing"));
}

TEST_CASE("lie 9: another key signs the tree, or another domain's") {
  Registry registry;
  auto part = registry.tree.ask(wire::TreeRequest{0});
  part->announcement = announce(std::string(kRegistryId), PrivateKey::from_seed({3}).public_key());
  TreeVerifier verifier{std::string(kDomain)};
  verifier.take(*part);
  CHECK(verifier.report().problem->code == ErrorCode::kSignature);
  TreeVerifier elsewhere{"other.internal"};
  elsewhere.take(*registry.tree.ask(wire::TreeRequest{0}));
  CHECK(elsewhere.report().problem->code == ErrorCode::kIdentity);
  // The whole tree of another key, where one was kept.
  const record::Checkpoint other{"core.internal/decisions/registry/main/00", 1, Hash()};
  CHECK(registry.verify_tree(other).report().problem->message.contains("has another tree"));
}

TEST_CASE("lie 10: bodies are deleted, and the node is said to have dropped them") {
  Registry registry;
  registry.log.segments_[1] = registry.log.without_body(1);
  check_difference(registry.verify(), 2, "record 2 is missing");
  // What the node did drop is in its leaf.
  Registry honest;
  honest.log.segments_[1] = honest.log.without_body(1);
  honest.tree.entries.clear();
  for (size_t i = 0; i < 3; ++i) honest.tree.take(honest.log, i, /*with_body=*/i != 1);
  const LogReport report = honest.verify();
  CHECK(report.state() == LogState::kGaps);
  CHECK(report.dropped == 4);
}

TEST_CASE("lie 11: records are erased without a statement, or more than it says") {
  Registry registry;
  registry.erase(1, {1, 2});
  CHECK(registry.verify().closed == 2);  // for who may not see all, they may be others' ledgers
  check_difference(registry.verify(/*may_see_all=*/true), 3, "record 3 is missing");
  registry.tree.add(registry.erasure(2, 4, {3}));
  check_difference(registry.verify(/*may_see_all=*/true), 4, "record 4 is missing");
  registry.tree.entries.pop_back();
  registry.tree.add(registry.erasure(2, 4, {3, 4}));
  const LogReport report = registry.verify(/*may_see_all=*/true);
  CHECK(report.state() == LogState::kWhole);
  REQUIRE(report.deleted.size() == 1);
  CHECK(report.deleted.begin()->first == "erased: asked for by a person, leaf 3");
  CHECK(report.deleted.begin()->second == 2);
}

TEST_CASE("lie 12: a statement about another record's hash explains nothing") {
  Registry registry;
  registry.erase(1, {1});
  record::TreeEntry entry = registry.erasure(2, 4, {3});
  entry.hashes = {registry.log.leaves()[4]};
  registry.tree.add(entry);
  check_difference(registry.verify(/*may_see_all=*/true), 3, "record 3 is missing");
}

TEST_CASE("what a rule deleted is told by the rule") {
  Registry registry;
  registry.log.segments_[1] = registry.log.without_body(1);
  record::TreeEntry entry;
  entry.kind = record::TreeEntryKind::kDeletion;
  entry.time_ms = kTakenMs;
  entry.log = registry.log.id();
  entry.first = 2;
  entry.count = 4;
  entry.hashes = registry.log.segments_[1].subtrees;
  entry.rule = "retain_days max 30 of 100000000001/payments v41";
  registry.tree.add(entry);
  const LogReport report = registry.verify();
  CHECK(report.state() == LogState::kWhole);
  REQUIRE(report.deleted.size() == 1);
  CHECK(report.deleted.begin()->first ==
        "deleted by the rule retain_days max 30 of 100000000001/payments v41, leaf 3");
}

}  // namespace notp::cli
