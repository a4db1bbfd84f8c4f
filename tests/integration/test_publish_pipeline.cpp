// The publish pipeline with real Git and real files: thresholds, co-signing, roots that change.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <set>

#include "common/limits.hpp"
#include "notp-server/publish/publish_pipeline.hpp"
#include "notp-server/publish/record.hpp"
#include "protocol/delta/artifact.hpp"
#include "protocol/model/manifest.hpp"
#include "protocol/wire/frame.hpp"
#include "tests/support/agent/engine.hpp"
#include "tests/support/registry/git_ledgers.hpp"
#include "tests/support/registry/publish_place.hpp"

namespace notp::publish {
namespace {

constexpr int32_t kWaits = -1;  // nothing is pending

void check_waits(const PublishOutcome& outcome, uint32_t signers, uint32_t threshold) {
  CHECK_MESSAGE(outcome.result.code == 0, outcome.result.message);
  CHECK(outcome.published == nullptr);
  CHECK(outcome.result.signers == signers);
  CHECK(outcome.result.threshold == threshold);
  CHECK(outcome.result.commit.empty());
}

void check_published(const PublishOutcome& outcome, const Proposal& proposal) {
  CHECK_MESSAGE(outcome.result.code == 0, outcome.result.message);
  REQUIRE((outcome.published && outcome.published->envelope.is_read()));
  CHECK(outcome.published->ref.release_hash == proposal.hash());
  CHECK(outcome.result.version == proposal.release.version);
  CHECK(outcome.result.release_hash == proposal.hash());
  CHECK(outcome.result.threshold == 0);
  CHECK_FALSE(outcome.result.commit.empty());
}

void check_refused(const PublishOutcome& outcome, ErrorCode code) {
  CHECK_MESSAGE(outcome.result.code == wire_of(code), outcome.result.message);
  CHECK(outcome.published == nullptr);
  CHECK_FALSE(outcome.result.message.empty());
}

TEST_CASE("a release with one of two signatures waits, and the second one publishes it") {
  const TemporaryFolder data;
  Place place(data.path());
  for (const int step : {1, 2}) {
    CAPTURE(step);
    const Proposal proposal = propose(place, policy(step));
    check_waits(publish_proposal(place, proposal, {2}), 1, 2);
    CHECK(place.head() == static_cast<uint64_t>(step - 1));
    const auto rows = place.rows();
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].release_hash == proposal.hash());
    CHECK(rows[0].version == proposal.release.version);
    CHECK(rows[0].publisher == kCarol.text());
    CHECK(rows[0].message == "two of us want this");
    CHECK(rows[0].received_ms == kNowMs);
    CHECK(rows[0].signers == 1);
    CHECK(rows[0].threshold == 2);
    check_published(cosign(place, proposal, 3), proposal);
    CHECK(place.rows().empty());
    const auto head = place.registry->head(kLedger);
    CHECK(head->ref.release_hash == proposal.hash());
    CHECK(head->publisher == kCarol.text());
    CHECK(head->message == "two of us want this");
    CHECK(trust::Envelope::decode(head->envelope)->signatures.size() == 2);
    check_same(*place.registry->snapshot(kLedger, head->release.version).value(), policy(step));
  }
  CHECK(fs::is_empty(data.path() / "pending/273165098782/payments"));
  check_fsck(repository_of(data.path()));
}

TEST_CASE("without the wish to wait, too few signatures are refused; with enough nothing waits") {
  const TemporaryFolder data;
  Place place(data.path());
  const Proposal proposal = propose(place, policy(1));
  check_refused(publish_proposal(place, proposal, {2}, false), ErrorCode::kSignature);
  check_refused(publish_proposal(place, proposal, {}, false), ErrorCode::kSignature);
  check_refused(publish_proposal(place, proposal, {9}), ErrorCode::kSignature);
  CHECK(place.rows().empty());
  check_published(publish_proposal(place, proposal, {2, 4}), proposal);
  CHECK(place.rows().empty());
}

TEST_CASE("a release without any signature waits, and is published by those who sign it alone") {
  const TemporaryFolder data;
  Proposal proposal;
  {
    Place place(data.path());
    proposal = propose(place, policy(1));
    check_waits(publish_proposal(place, proposal, {}), 0, 2);
    check_waits(publish_proposal(place, proposal, {}), 0, 2);
    REQUIRE(place.rows().size() == 1);
    CHECK(place.rows()[0].signers == 0);
    CHECK(place.rows()[0].threshold == 2);
    // Nothing but a key of the delegation moves it on.
    check_refused(cosign(place, proposal, 9), ErrorCode::kSignature);
    check_refused(publish_proposal(place, proposal, {9}), ErrorCode::kSignature);
    CHECK(place.head() == 0);
  }
  Place place(data.path());
  CHECK(place.rows()[0].signers == 0);
  check_waits(cosign(place, proposal, 2), 1, 2);
  check_published(cosign(place, proposal, 3), proposal);
  CHECK(place.registry->head(kLedger)->publisher == kCarol.text());
  CHECK(place.rows().empty());

  trust::Root nobody = two_of_three();
  nobody.delegations.clear();
  place.set_root(nobody);
  check_refused(publish_proposal(place, propose(place, policy(2)), {}), ErrorCode::kSignature);
}

TEST_CASE("who signs nothing holds one place in a ledger, and those who sign keep theirs") {
  const TemporaryFolder data;
  Place place(data.path());
  const Proposal with_one = propose(place, policy(1));
  check_waits(publish_proposal(place, with_one, {}), 0, 2);
  check_waits(cosign(place, with_one, 2), 1, 2);
  for (int step = 2; step < 2 + 2 * static_cast<int>(limits::kPendingPerLedgerMax); ++step) {
    check_waits(publish_proposal(place, propose(place, policy(step)), {}), 0, 2);
    CHECK(place.rows().size() == 2);
  }
  // Of another identity.
  PublishAttempt other = attempt_of(propose(place, policy(99)), {});
  other.publisher.name = "dave";
  check_waits(place.pipeline.handle(std::move(other)), 0, 2);
  CHECK(place.rows().size() == 3);
  check_published(cosign(place, with_one, 3), with_one);
  CHECK(place.rows().empty());
}

samples::Texts key_release(const std::string& set = R"({"keys":[],"issuer":"https://id"})") {
  samples::Texts files = policy(1, "keys/login");
  files.erase("policies/allow.rego");
  files["keys/login/data.json"] = set;
  return files;
}

TEST_CASE("what its delegation lets a release hold is checked before it is published or waits") {
  const TemporaryFolder data;
  Place place(data.path());
  trust::Root root = two_of_three();
  root.delegations[0].content = trust::ContentRule::kKeys;
  place.set_root(root);
  samples::Texts more = key_release();
  more["keys/login/allow.rego"] = "package keys.login\n\nallow := true\n";
  for (const samples::Texts& files : {policy(1), more}) {
    const Proposal proposal = propose(place, files);
    check_refused(publish_proposal(place, proposal, {2, 3}), ErrorCode::kWrongTarget);
    check_refused(publish_proposal(place, proposal, {2}), ErrorCode::kWrongTarget);
    check_refused(publish_proposal(place, proposal, {}), ErrorCode::kWrongTarget);
  }
  CHECK(place.rows().empty());
  const Proposal keys = propose(place, key_release());
  check_published(publish_proposal(place, keys, {2, 3}), keys);

  // A root that restricts the content counts for what waits already.
  place.set_root(two_of_three());
  const Proposal waiting = propose(place, more);
  check_waits(publish_proposal(place, waiting, {2}), 1, 2);
  place.set_root(root);
  check_refused(cosign(place, waiting, 3), ErrorCode::kWrongTarget);
  CHECK(place.head() == 1);
}

// Such a document is compared with the one before it instead of being read whole.
TEST_CASE("a large document is published again and again with a change in one place") {
  const TemporaryFolder data;
  Place place(data.path());
  for (const int step : {1, 2, 3}) {
    samples::Texts files = policy(1);
    const std::string root = model::Manifest::parse(files.at("manifest.json"))->data_roots.front();
    std::string document = "{";
    for (int record = 0; record < 4'000; ++record)
      document += fmt::format("\"r{}\": {{\"limit\": {}}}, ", record, record == 7 ? step : 0);
    files[root + "/limits/data.json"] = document + "\"end\": true}";
    const Proposal proposal = propose(place, files);
    check_published(publish_proposal(place, proposal, {2, 3}), proposal);
  }
}

TEST_CASE("a key counts once, however often it signs and whatever its signature is called") {
  const TemporaryFolder data;
  Place place(data.path());
  const Proposal proposal = propose(place, policy(1));
  PublishAttempt twice = attempt_of(proposal, {});
  trust::Envelope envelope = samples::signed_by(proposal.release, {2});
  envelope.signatures.push_back({envelope.signatures[0].signature, "another name"});
  envelope.signatures.push_back({Bytes(kSignatureBytes, 'x'), "junk"});
  const Bytes bytes = envelope.encode();
  twice.artifact = delta::encode_artifact(
                       nullptr, {bytes, proposal.content.tree.get(), proposal.content.loader()})
                       .value();
  check_waits(place.pipeline.handle(std::move(twice)), 1, 2);
  check_waits(cosign(place, proposal, 2), 1, 2);
  check_waits(publish_proposal(place, proposal, {2}), 1, 2);
  CHECK(trust::Envelope::decode(place.rows()[0].envelope)->signatures.size() == 1);
  CHECK(place.head() == 0);
  check_published(cosign(place, proposal, 4), proposal);
}

TEST_CASE("a signature by nobody of the delegation, or of something else, is refused") {
  const TemporaryFolder data;
  Place place(data.path());
  const Proposal proposal = propose(place, policy(1));
  check_waits(publish_proposal(place, proposal, {2}), 1, 2);
  check_refused(cosign(place, proposal, 9), ErrorCode::kSignature);
  check_refused(cosign(place, proposal, 1), ErrorCode::kSignature);
  const Proposal other = propose(place, policy(5));
  check_refused(place.pipeline.cosign({kLedger, proposal.hash(), other.signature(3)}, kNowMs),
                ErrorCode::kSignature);
  check_refused(place.pipeline.cosign({kLedger, proposal.hash(), "short"}, kNowMs),
                ErrorCode::kEnvelope);
  check_refused(cosign(place, other, 3), ErrorCode::kNotFound);
  CHECK(place.rows()[0].signers == 1);
}

TEST_CASE("publishing the same release again adds its signatures to those that wait") {
  const TemporaryFolder data;
  Place place(data.path());
  place.set_root([] {
    trust::Root root = two_of_three();
    root.delegations[0].threshold = 3;
    return root;
  }());
  const Proposal proposal = propose(place, policy(1));
  check_waits(publish_proposal(place, proposal, {2}), 1, 3);
  check_waits(publish_proposal(place, proposal, {3}), 2, 3);
  check_refused(publish_proposal(place, proposal, {4}, false), ErrorCode::kSignature);
  const PublishOutcome last = publish_proposal(place, proposal, {4});
  check_published(last, proposal);
  CHECK(last.result.request == 7);
  CHECK(trust::Envelope::decode(place.registry->head(kLedger)->envelope)->signatures.size() == 3);
  CHECK(place.rows().empty());
}

TEST_CASE("who lost the answer asks again and hears that it is published") {
  const TemporaryFolder data;
  Place place(data.path());
  const Proposal proposal = propose(place, policy(1));
  check_waits(publish_proposal(place, proposal, {2}), 1, 2);
  check_published(cosign(place, proposal, 3), proposal);
  check_published(cosign(place, proposal, 3), proposal);
  check_published(publish_proposal(place, proposal, {2}), proposal);
  CHECK(place.head() == 1);
}

TEST_CASE("what waits survives a restart, and cannot be told from what never stopped") {
  const TemporaryFolder data;
  Proposal proposal;
  wire::PendingRow before;
  {
    Place place(data.path());
    proposal = propose(place, policy(1));
    check_waits(publish_proposal(place, proposal, {2}), 1, 2);
    before = place.rows().at(0);
  }
  Place place(data.path());
  const auto rows = place.rows();
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].envelope == before.envelope);
  CHECK(rows[0].message == before.message);
  CHECK(rows[0].received_ms == before.received_ms);
  check_published(cosign(place, proposal, 4), proposal);
}

TEST_CASE("when the head moves, what was made on the old one is dropped") {
  const TemporaryFolder data;
  Place place(data.path());
  const Proposal slow = propose(place, policy(1));
  const Proposal fast = propose(place, policy(2));
  check_waits(publish_proposal(place, slow, {2}), 1, 2);
  check_waits(publish_proposal(place, fast, {2}), 1, 2);
  CHECK(place.rows().size() == 2);
  check_published(cosign(place, fast, 3), fast);
  CHECK(place.rows().empty());
  CHECK(place.waiting->list(std::nullopt).empty());
  check_refused(cosign(place, slow, 3), ErrorCode::kNotFound);
  const PublishOutcome late = publish_proposal(place, slow, {2});
  check_refused(late, ErrorCode::kConflict);
  CHECK(late.result.head->release_hash == fast.hash());
  CHECK(late.result.head_publisher == kCarol.text());
}

TEST_CASE("a head that moved while the registry was down is noticed at its start") {
  const TemporaryFolder data;
  {
    Place place(data.path());
    check_waits(publish_proposal(place, propose(place, policy(1)), {2}), 1, 2);
  }
  publish_files(*open(data.path()), texts(1));
  const Place place(data.path());
  CHECK(place.waiting->list(std::nullopt).empty());
  CHECK(place.rows().empty());
}

TEST_CASE("a damaged ledger does not make its pending releases forgotten") {
  const TemporaryFolder data;
  const fs::path repository = repository_of(data.path());
  Proposal second;
  {
    Place place(data.path());
    const Proposal first = propose(place, policy(1));
    check_published(publish_proposal(place, first, {2, 3}), first);
    second = propose(place, policy(2));
    check_waits(publish_proposal(place, second, {2}), 1, 2);
  }
  const std::string tag = git_line(repository, {"rev-parse", "v1"});
  git_line(repository, {"tag", "-d", "v1"});
  {
    Place place(data.path());
    REQUIRE(place.registry->damaged().size() == 1);
    check_refused(cosign(place, second, 3), ErrorCode::kCorrupt);
  }
  git_line(repository, {"update-ref", "refs/tags/v1", tag});
  Place place(data.path());
  CHECK(place.rows().size() == 1);
  check_published(cosign(place, second, 3), second);
}

TEST_CASE("signatures count by the root of the day") {
  const TemporaryFolder data;
  Place place(data.path());
  const Proposal proposal = propose(place, policy(1));
  check_waits(publish_proposal(place, proposal, {2}), 1, 2);

  trust::Root without_two = two_of_three();
  without_two.version = 2;
  without_two.delegations[0].keys = samples::public_keys({3, 4, 5});
  place.set_root(without_two);
  CHECK(place.rows()[0].signers == 0);
  check_waits(cosign(place, proposal, 3), 1, 2);
  check_refused(cosign(place, proposal, 2), ErrorCode::kSignature);
  check_published(cosign(place, proposal, 5), proposal);
  CHECK(trust::Envelope::decode(place.registry->head(kLedger)->envelope)->signatures.size() == 2);

  const Proposal second = propose(place, policy(2));
  check_waits(publish_proposal(place, second, {3}), 1, 2);
  trust::Root nobody = without_two;
  nobody.delegations.clear();
  place.set_root(nobody);
  CHECK(place.rows()[0].threshold == 0);
  check_refused(cosign(place, second, 4), ErrorCode::kSignature);
  trust::Root alone = without_two;
  alone.delegations[0].threshold = 1;
  place.set_root(alone);
  CHECK(place.rows()[0].signers == 1);
  check_published(publish_proposal(place, second, {3}), second);
}

TEST_CASE("an expired root and an expired release are refused while they wait, too") {
  const TemporaryFolder data;
  Place place(data.path());
  Proposal proposal = propose(place, policy(1));
  proposal.release.expires_ms = kNowMs + 10'000;
  check_waits(publish_proposal(place, proposal, {2}), 1, 2);
  check_refused(cosign(place, proposal, 3, kNowMs + 10'000), ErrorCode::kExpired);
  CHECK(place.rows()[0].signers == 1);
  trust::Root expired = two_of_three();
  expired.expires_ms = kNowMs;
  place.set_root(expired);
  check_refused(cosign(place, proposal, 3), ErrorCode::kExpired);
  check_refused(publish_proposal(place, proposal, {2}), ErrorCode::kExpired);
  place.set_root(two_of_three());
  check_published(cosign(place, proposal, 3), proposal);
}

TEST_CASE("an epoch is at least the head's and at most the root's") {
  const TemporaryFolder data;
  Place place(data.path());
  trust::Root second = two_of_three();
  second.version = second.epoch = 2;
  Proposal ahead = propose(place, policy(1));
  ahead.release.epoch = 2;
  check_refused(publish_proposal(place, ahead, {2, 3}), ErrorCode::kWrongTarget);
  check_refused(publish_proposal(place, ahead, {2}), ErrorCode::kWrongTarget);
  place.set_root(second);
  check_published(publish_proposal(place, ahead, {2, 3}), ahead);
  const Proposal older = propose(place, policy(2));
  REQUIRE(older.release.epoch == 1);
  check_refused(publish_proposal(place, older, {2, 3}), ErrorCode::kRollback);
  check_refused(publish_proposal(place, older, {2}), ErrorCode::kRollback);
  CHECK(place.rows().empty());
}

TEST_CASE("all else is checked before a release may wait") {
  const TemporaryFolder data;
  Place place(data.path());
  samples::Texts broken = policy(1);
  broken["policies/allow.rego"] = "package authz\n\nallow if {";
  const PublishOutcome invalid = publish_proposal(place, propose(place, broken), {2});
  check_refused(invalid, ErrorCode::kInvalidModel);
  CHECK_FALSE(invalid.result.findings.empty());

  Proposal other_content = propose(place, policy(1));
  other_content.release.content_root = sha256("other");
  check_refused(publish_proposal(place, other_content, {2}), ErrorCode::kContentRoot);

  const model::LedgerId neighbour{kLedger.zone, "neighbour"};
  const Proposal first = propose(place, policy(1), neighbour);
  check_published(publish_proposal(place, first, {2, 3}), first);
  check_refused(publish_proposal(place, propose(place, policy(1)), {2}), ErrorCode::kRootsOverlap);

  PublishAttempt wordy = attempt_of(propose(place, policy(1, "other")), {2});
  wordy.publish.message = std::string(limits::kErrorTextBytesMax + 1, 'x');
  check_refused(place.pipeline.handle(std::move(wordy)), ErrorCode::kUsage);
  CHECK(place.rows().empty());
}

TEST_CASE("what changed around a release while it waited is found at the last signature") {
  const TemporaryFolder data;
  Place place(data.path());
  const Proposal proposal = propose(place, policy(1));
  check_waits(publish_proposal(place, proposal, {2}), 1, 2);
  const model::LedgerId neighbour{kLedger.zone, "neighbour"};
  const Proposal taken = propose(place, policy(1), neighbour);
  check_published(publish_proposal(place, taken, {2, 3}), taken);
  check_refused(cosign(place, proposal, 3), ErrorCode::kRootsOverlap);
  CHECK(place.rows()[0].signers == 2);
  const Proposal given_way = propose(place, policy(1, "moved"), neighbour);
  check_published(publish_proposal(place, given_way, {2, 3}), given_way);
  check_published(cosign(place, proposal, 3), proposal);
}

TEST_CASE("what waits can be dropped, once") {
  const TemporaryFolder data;
  Place place(data.path());
  const Proposal proposal = propose(place, policy(1));
  check_waits(publish_proposal(place, proposal, {2}), 1, 2);
  CHECK(place.pipeline.drop_pending({kLedger, proposal.hash()}).has_value());
  CHECK(place.pipeline.drop_pending({kLedger, proposal.hash()}).error().code ==
        ErrorCode::kNotFound);
  check_refused(cosign(place, proposal, 3), ErrorCode::kNotFound);
  check_waits(publish_proposal(place, proposal, {3}), 1, 2);
}

TEST_CASE("so many releases of a ledger wait and no more") {
  const TemporaryFolder data;
  Place place(data.path());
  for (size_t i = 0; i < limits::kPendingPerLedgerMax; ++i)
    check_waits(publish_proposal(place, propose(place, policy(static_cast<int>(i))), {2}), 1, 2);
  const Proposal over = propose(place, policy(99));
  check_refused(publish_proposal(place, over, {2}), ErrorCode::kLimit);
  CHECK(place.rows().size() == limits::kPendingPerLedgerMax);
  const model::LedgerId other{kLedger.zone, "other"};
  check_waits(publish_proposal(place, propose(place, policy(1, "other"), other), {2}), 1, 2);
  CHECK(place.pipeline.pending(std::nullopt).rows.size() == limits::kPendingPerLedgerMax + 1);
  const Proposal first = propose(place, policy(0));
  check_published(publish_proposal(place, first, {3}), first);
  CHECK(place.rows().empty());
}

TEST_CASE("however many releases wait, they are listed in pages that a frame can carry") {
  const TemporaryFolder data;
  constexpr size_t kLedgers = 126;
  constexpr size_t kWaiting = kLedgers * limits::kPendingPerLedgerMax;
  // As another program left them, under other limits.
  for (size_t l = 0; l < kLedgers; ++l) {
    const fs::path folder =
        data.path() / "pending" / std::to_string(kLedger.zone) / fmt::format("l{}", l);
    fs::create_directories(folder);
    for (size_t i = 0; i < limits::kPendingPerLedgerMax; ++i) {
      trust::Release release = samples::release(1 + i);
      release.ledger = {kLedger.zone, fmt::format("l{}", l)};
      const trust::Envelope envelope = samples::signed_by(release, {2});
      const PendingRelease waiting{.ledger = release.ledger,
                                   .version = release.version,
                                   .release_hash = trust::release_hash(envelope.payload),
                                   .envelope = envelope.encode(),
                                   .publisher = "spiffe://core-platform.internal/publisher/mallory",
                                   .message = std::string(2'000, 'm'),
                                   .artifact = sha256("a"),
                                   .artifact_bytes = 1};
      std::ofstream(folder / (waiting.release_hash.hex() + ".json")) << record_text(waiting);
      std::ofstream(folder / (waiting.release_hash.hex() + ".artifact")) << "a";
    }
  }
  const Place place(data.path());
  std::set<Hash> seen;
  std::optional<wire::PendingPlace> after;
  size_t pages = 0;
  for (bool more = true; more; ++pages) {
    const PublishPipeline::PendingPage page = place.pipeline.pending(std::nullopt, after);
    REQUIRE_FALSE(page.rows.empty());
    const auto frame =
        wire::try_encode_frame(wire::Response{.what = wire::PendingPage{page.rows, page.more}});
    REQUIRE_MESSAGE(frame.has_value(), (frame ? "" : frame.error().message));
    for (const wire::PendingRow& row : page.rows) CHECK(seen.insert(row.release_hash).second);
    after = wire::PendingPlace{page.rows.back().ledger, page.rows.back().release_hash};
    more = page.more;
  }
  CHECK(seen.size() == kWaiting);
  CHECK(pages >= 2);
}

TEST_CASE("who is to sign can look at the whole of it first, against what they have or not") {
  const TemporaryFolder data;
  Place place(data.path());
  const Proposal first = propose(place, policy(1));
  check_published(publish_proposal(place, first, {2, 3}), first);
  const Proposal proposal = propose(place, policy(2));
  check_waits(publish_proposal(place, proposal, {2}), 1, 2);
  const trust::Release& release = proposal.release;
  const auto entry = place.pipeline.pending_entry(kLedger, 2, proposal.hash());
  REQUIRE(entry.has_value());
  CHECK(entry->content_root == release.content_root);
  CHECK(entry->epoch == release.epoch);
  CHECK_FALSE(place.pipeline.pending_entry(kLedger, 3, proposal.hash()).has_value());
  CHECK(place.pipeline.pending_artifact(kLedger, 3, proposal.hash(), nullptr).error().code ==
        ErrorCode::kNotFound);
  const registry::SnapshotPtr head = place.registry->snapshot(kLedger, 1).value();
  for (const registry::SnapshotPtr& base : {registry::SnapshotPtr(), head}) {
    const auto artifact = place.pipeline.pending_artifact(kLedger, 2, proposal.hash(), base);
    REQUIRE(artifact.has_value());
    CHECK((*artifact)->id ==
          delta::artifact_id(base ? base->ref.release_hash : Hash{}, proposal.hash()));
    const delta::ReleaseContent side{head->envelope, head->content.tree.get(),
                                     head->content.loader()};
    const auto applied = delta::apply_artifact((*artifact)->bytes, base ? &side : nullptr,
                                               {release.total_bytes, release.file_count});
    REQUIRE(applied.has_value());
    CHECK(applied->tree->content_root() == release.content_root);
    const auto envelope = delta::read_envelope((*artifact)->bytes, base ? base->envelope : Bytes());
    CHECK(trust::release_hash(trust::Envelope::decode(*envelope)->payload) == proposal.hash());
  }
}

// Runs in a child process, which a failpoint ends.
TEST_CASE("in a child: publish with one signature, then the other" * doctest::skip()) {
  Place place(std::getenv("NOTP_TEST_DATA"));
  const Proposal proposal = propose(place, policy(1));
  check_waits(publish_proposal(place, proposal, {2}), 1, 2);
  check_published(cosign(place, proposal, 3), proposal);
}

TEST_CASE("after a crash anywhere both signers try again, and it is published once") {
  struct Crash {
    std::string point;
    int waits;  // pending signatures after the restart; kWaits: nothing is pending
    uint64_t head;
  };
  const std::vector<Crash> crashes = {
      {"pending.after_artifact", kWaits, 0}, {"pending.after_write", 1, 0},
      {"pending.after_signature", 2, 0},     {"registry.after_pack", 2, 0},
      {"registry.after_tag", 2, 0},          {"registry.after_main", kWaits, 1},
      {"pending.after_drop", kWaits, 1}};
  for (const auto& [point, waits, head] : crashes) {
    CAPTURE(point);
    const TemporaryFolder data;
    const CommandResult child =
        run_command({fs::read_symlink("/proc/self/exe").string(), "--no-skip",
                     "--test-case=in a child: publish with one signature*"},
                    {{"NOTP_TEST_DATA", data.path().string()}, {"NOTP_FAILPOINT", point}});
    REQUIRE_MESSAGE(child.status == 137, child.output);
    Place place(data.path());
    CHECK(place.waiting->damaged().empty());
    CHECK(place.head() == head);
    const auto rows = place.rows();
    CHECK((rows.empty() ? kWaits : static_cast<int>(rows[0].signers)) == waits);
    Proposal proposal;
    {
      const TemporaryFolder empty;  // the release in its initial state
      proposal = propose(Place(empty.path()), policy(1));
    }
    const PublishOutcome again = publish_proposal(place, proposal, {2});
    CHECK(again.result.code == 0);
    check_published(cosign(place, proposal, 3), proposal);
    CHECK(place.head() == 1);
    CHECK(place.waiting->list(std::nullopt).empty());
    check_fsck(repository_of(data.path()));
    CHECK(fs::is_empty(data.path() / "pending/273165098782/payments"));
  }
}

}  // namespace
}  // namespace notp::publish
