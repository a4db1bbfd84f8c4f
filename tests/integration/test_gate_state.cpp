// What a replay gate has held, and what a person let go: kept by the node's store and by the
// registry's fleet.
#include "notp-server/fleet/fleet.hpp"
#include "tests/support/agent/stored_models.hpp"

namespace notp {
namespace {

using stored::kModel;
using stored::kPayments;
using wire::CommitState;

const Error kHeld{ErrorCode::kGateHeld, "12 of 1000 come out differently", {}};

store::InstallRecord gated(uint64_t version) {
  store::InstallRecord record = stored::install_of(kModel, version);
  record.has_gate = true;
  return record;
}

store::StoredRelease reopened(const TemporaryFolder& folder) {
  const auto state = stored::open(folder.path())->load();
  REQUIRE_MESSAGE(state, state.error().message);
  CHECK(state->findings.empty());
  REQUIRE(state->ledgers.at(kPayments).releases.size() == 1);
  return state->ledgers.at(kPayments).releases[0];
}

TEST_CASE("a store knows which releases have a gate, which are held, and which were let go") {
  const TemporaryFolder folder;
  REQUIRE(stored::open(folder.path())->install(gated(1)));
  store::StoredRelease release = reopened(folder);
  CHECK(release.has_gate);
  CHECK_FALSE(release.held);
  CHECK_FALSE(release.quarantined);
  CHECK_FALSE(release.released);

  REQUIRE(stored::open(folder.path())->quarantine(kPayments, 1, kHeld));
  release = reopened(folder);
  CHECK(release.quarantined);
  CHECK(release.held);
  CHECK(release.error == kHeld.message);

  // It arrives again, because of damage: that says nothing about its decisions.
  REQUIRE(stored::open(folder.path())->install(gated(1)));
  CHECK(reopened(folder).held);

  REQUIRE(stored::open(folder.path())->release(kPayments, 1));
  release = reopened(folder);
  CHECK(release.released);
  CHECK(release.has_gate);
  CHECK_FALSE(release.held);
  CHECK_FALSE(release.quarantined);
  CHECK(release.error.empty());
  REQUIRE(stored::open(folder.path())->install(gated(1)));
  CHECK(reopened(folder).released);
}

TEST_CASE("a release that a PDP has refused stays refused when a person lets it go") {
  const TemporaryFolder folder;
  auto store = stored::open(folder.path());
  REQUIRE(store->install(stored::install_of(kModel, 1)));
  REQUIRE(store->quarantine(kPayments, 1, Error{ErrorCode::kPdpRejected, "a.rego:1: no", {}}));
  REQUIRE(store->release(kPayments, 1));
  CHECK(store->release(kPayments, 2).error().code == ErrorCode::kNotFound);
  store.reset();
  const store::StoredRelease release = reopened(folder);
  CHECK(release.quarantined);
  CHECK_FALSE(release.held);
  CHECK(release.error == "a.rego:1: no");
}

// --- the registry

const std::string kNode = "spiffe://core-platform.internal/node/edge-1";

std::unique_ptr<fleet::Fleet> open(const TemporaryFolder& folder) {
  auto fleet = fleet::Fleet::open(folder.path() / "fleet.db");
  REQUIRE_MESSAGE(fleet, fleet.error().message);
  return *std::move(fleet);
}

wire::Commit report(uint64_t version, CommitState state) {
  wire::Commit out{kPayments, version, state, 0, "", sha256("content")};
  if (state == CommitState::kRejected) {
    out.code = static_cast<uint32_t>(kHeld.code);
    out.message = kHeld.message;
  }
  return out;
}

TEST_CASE("a fleet lets go what a node says is held, and nothing else") {
  const TemporaryFolder folder;
  const auto fleet = open(folder);
  const auto refused = [&](uint64_t version) {
    const auto done = fleet->release_held(kNode, kPayments, version);
    REQUIRE_FALSE(done);
    CHECK(done.error().code == ErrorCode::kNotFound);
    return done.error().message;
  };
  CHECK(refused(2).find("nothing about this ledger") != std::string::npos);
  REQUIRE(fleet->report(kNode, report(1, CommitState::kActive), 1));
  CHECK(refused(1).find("its last report is active v1") != std::string::npos);
  wire::Commit broken = report(2, CommitState::kRejected);
  broken.code = static_cast<uint32_t>(ErrorCode::kPdpRejected);
  REQUIRE(fleet->report(kNode, broken, 2));
  CHECK(refused(2).find("its last report is rejected v2") != std::string::npos);
  REQUIRE(fleet->report(kNode, report(3, CommitState::kRejected), 3));
  CHECK(refused(2).find("rejected v3, which its gate holds") != std::string::npos);
  CHECK_FALSE(fleet->is_released(kNode, report(3, CommitState::kRejected)));
  REQUIRE(fleet->release_held(kNode, kPayments, 3));
  CHECK(fleet->is_released(kNode, report(3, CommitState::kRejected)));
  CHECK_FALSE(fleet->is_released(kNode, report(4, CommitState::kRejected)));
  CHECK_FALSE(fleet->is_released(kNode, broken));
  CHECK_FALSE(fleet->is_released("spiffe://core-platform.internal/node/edge-2",
                                 report(3, CommitState::kRejected)));
}

TEST_CASE("what was let go is known after a restart, until the node decides with it") {
  const TemporaryFolder folder;
  {
    const auto fleet = open(folder);
    REQUIRE(fleet->report(kNode, report(1, CommitState::kActive), 1));
    REQUIRE(fleet->report(kNode, report(2, CommitState::kRejected), 2));
    REQUIRE(fleet->release_held(kNode, kPayments, 2));
  }
  {
    const auto fleet = open(folder);
    CHECK(fleet->is_released(kNode, report(2, CommitState::kRejected)));
    // Older reports, as a node repeats them.
    REQUIRE(fleet->report(kNode, report(1, CommitState::kActive), 3));
    REQUIRE(fleet->report(kNode, report(2, CommitState::kRejected), 4));
    CHECK(fleet->is_released(kNode, report(2, CommitState::kRejected)));
    REQUIRE(fleet->flush());
    REQUIRE(fleet->report(kNode, report(2, CommitState::kActive), 5));
    CHECK_FALSE(fleet->is_released(kNode, report(2, CommitState::kRejected)));
  }
  CHECK_FALSE(open(folder)->is_released(kNode, report(2, CommitState::kRejected)));
}

}  // namespace
}  // namespace notp
