// The parts of an agent's core, one by one.
#include "notp-client/agent/core/installer.hpp"
#include "notp-client/agent/core/trust_updates.hpp"
#include "tests/support/agent/agent_parts.hpp"

namespace notp {
namespace {

using samples::kLedger;

const model::LedgerId kOther{kLedger.zone, "shipping"};

Error refusal() { return {ErrorCode::kPdpRejected, "does not compile", {}}; }

// --- Alarms, Rejections

TEST_CASE("an alarm of a topic is raised once while it lasts") {
  agent::AgentEffects effects;
  agent::Alarms alarms(effects);
  const Error expired{ErrorCode::kExpired, "expired", {}}, clock{ErrorCode::kClock, "clock", {}};
  alarms.raise_once(agent::AlarmTopic::kRoot, expired);
  alarms.raise_once(agent::AlarmTopic::kRoot, expired);
  CHECK(effects.size() == 1);
  alarms.raise_once(agent::AlarmTopic::kRoot, clock);
  alarms.raise_once(agent::AlarmTopic::kFreshness, clock);
  CHECK(effects.size() == 3);
  alarms.clear(agent::AlarmTopic::kRoot);
  alarms.raise_once(agent::AlarmTopic::kRoot, clock);
  CHECK(effects.size() == 4);
  CHECK(alarms.list() == std::vector<std::string>{"expired", "clock"});
}

TEST_CASE("a node keeps the newest alarms") {
  agent::AgentEffects effects;
  agent::Alarms alarms(effects);
  for (int i = 0; i < 40; ++i) alarms.raise({ErrorCode::kIo, std::to_string(i), {}});
  CHECK(alarms.list().size() == 16);
  CHECK(alarms.list().back() == "39");
  CHECK(effects.size() == 40);
}

TEST_CASE("a rejection holds beside the versions that it was found with, and no others") {
  AgentPartsSite site({stored(make_release())});
  agent::Rejections rejections;
  rejections.keep(kLedger, {1, {{kOther, 4}}, refusal()}, site.releases);
  CHECK(rejections.find(kLedger, 1, {{kOther, {4, false}}}));
  CHECK_FALSE(rejections.find(kLedger, 1, {{kOther, {5, false}}}));
  CHECK_FALSE(rejections.find(kLedger, 2, {{kOther, {4, false}}}));
  CHECK_FALSE(rejections.find(kLedger, 1, {}));
  CHECK_FALSE(rejections.find(kOther, 1, {{kOther, {4, false}}}));
  for (uint64_t version = 5; version < 40; ++version)
    rejections.keep(kLedger, {1, {{kOther, version}}, refusal()}, site.releases);
  CHECK_FALSE(rejections.find(kLedger, 1, {{kOther, {4, false}}}));
  CHECK(rejections.find(kLedger, 1, {{kOther, {39, false}}}));
}

TEST_CASE("findings name a ledger where a line begins with a file of it") {
  CHECK(agent::names_ledger(kLedger, kLedger.text() + "/a.rego:1: no"));
  CHECK(agent::names_ledger(kLedger, "x\n/" + kLedger.text() + "/a.rego:1: no"));
  CHECK_FALSE(agent::names_ledger(kLedger, "in " + kLedger.text() + "/a.rego"));
  CHECK_FALSE(agent::names_ledger(kLedger, kLedger.text() + "-more/a.rego: no"));
}

// --- LocalReleases

TEST_CASE("the newest release is best, then those that a PDP has confirmed") {
  const TestRelease v1 = make_release(), v2 = make_release(&v1), v3 = make_release(&v2);
  store::StoredRelease confirmed = stored(v1);
  confirmed.confirmed = true;
  AgentPartsSite site({stored(v3), stored(v2), confirmed});
  const auto versions = [&] {
    std::vector<uint64_t> out;
    for (const store::StoredRelease* release : site.releases.usable(kLedger))
      out.push_back(release->ref.version);
    return out;
  };
  CHECK(versions() == std::vector<uint64_t>{3, 1, 2});
  CHECK(site.releases.known_good() == agent::Versions{{kLedger, 1}});
  CHECK(site.releases.quarantine(kLedger, 3, refusal()));
  CHECK_FALSE(site.releases.quarantine(kLedger, 9, refusal()));
  site.releases.mark_unreadable(kLedger, 1);
  CHECK(versions() == std::vector<uint64_t>{2});
  CHECK(site.releases.known_good().empty());
}

TEST_CASE("what the PDP decides with is proven unless it was given without its content") {
  const TestRelease v1 = make_release();
  AgentPartsSite site({stored(v1)});
  agent::DesiredState state = site.releases.desired({{kLedger, {1, false}}});
  CHECK(state.at(kLedger).release_hash == v1.hash);
  site.releases.set_active(state);
  CHECK(site.releases.proven(kLedger) == 1);
  state.at(kLedger).freshness_status.withheld = true;
  site.releases.set_active(state);
  CHECK_FALSE(site.releases.proven(kLedger));
  CHECK(site.releases.proven().empty());
  CHECK(site.releases.desired({{kLedger, {7, false}}}).empty());
}

TEST_CASE("a stored release takes the place of one of its version, and old ones go") {
  const TestRelease v1 = make_release(), v2 = make_release(&v1), v3 = make_release(&v2);
  AgentPartsSite site({stored(v2), stored(v1)});
  site.releases.add(stored(v2), {1});
  CHECK(site.releases.of(kLedger).size() == 2);
  site.releases.add(stored(v3), {2});
  CHECK(site.releases.newest(kLedger)->ref.version == 3);
  CHECK(site.releases.find(kLedger, 2));
  CHECK_FALSE(site.releases.find(kLedger, 1));
}

// --- CommitReports

TEST_CASE("the registry gets no report of a version that it does not have") {
  AgentPartsSite site({stored(make_release())});
  site.reports.report_ledger(kLedger);
  CHECK(site.registry.commits.empty());
  site.reports.begin_session();
  site.reports.report_ledger(kLedger);
  REQUIRE(site.registry.commits.size() == 1);
  CHECK(site.registry.commits[0].state == wire::CommitState::kStored);
  site.reports.see_head(kLedger, 0);
  site.reports.report_ledger(kLedger);
  CHECK(site.registry.commits.size() == 1);
  site.reports.see_offer(kLedger, 1);
  site.reports.report_ledger(kLedger);
  CHECK(site.registry.commits.size() == 2);
  site.reports.end_session();
  site.reports.report_ledger(kLedger);
  CHECK(site.registry.commits.size() == 2);
}

TEST_CASE("the weightiest trouble goes with every report while it lasts") {
  AgentPartsSite site({stored(make_release())});
  site.reports.begin_session();
  const auto reported = [&] {
    site.reports.report_all();
    return static_cast<ErrorCode>(site.registry.commits.back().code);
  };
  site.reports.set_trouble(agent::NodeTrouble::kFreshness, {ErrorCode::kClock, "clock", {}});
  CHECK(reported() == ErrorCode::kClock);
  site.reports.set_trouble(agent::NodeTrouble::kRoot, {ErrorCode::kRootInvalid, "root", {}});
  site.reports.set_trouble(agent::NodeTrouble::kStore, {ErrorCode::kIo, "disk", {}});
  CHECK(reported() == ErrorCode::kIo);
  CHECK(site.reports.clear_trouble(agent::NodeTrouble::kStore));
  CHECK_FALSE(site.reports.clear_trouble(agent::NodeTrouble::kStore));
  CHECK(reported() == ErrorCode::kRootInvalid);
  site.reports.set_install_error(kLedger, Error{ErrorCode::kSignature, "v2", {}});
  CHECK(reported() == ErrorCode::kSignature);
  CHECK(site.reports.set_pdp_trouble("no secret"));
  CHECK(reported() == ErrorCode::kUnavailable);
}

TEST_CASE("what is stored is reported when the PDP takes its time") {
  AgentPartsSite site({stored(make_release())});
  site.reports.begin_session();
  site.reports.report_stored_later(kLedger, 1'000);
  const TimeMs due_ms = site.reports.next_deadline();
  CHECK(due_ms > 1'000);
  site.reports.on_deadline(due_ms - 1);
  CHECK(site.registry.commits.empty());
  site.reports.on_deadline(due_ms);
  CHECK(site.registry.commits.size() == 1);
  site.reports.report_stored_now(kLedger, 1);
  CHECK(site.registry.commits.size() == 1);
  CHECK(site.reports.next_deadline() == kNever);
}

// --- PartialTransfers

TEST_CASE("what was staged is resumed, unless it is stored by now or of no ledger of this node") {
  const TestRelease v1 = make_release(), v2 = make_release(&v1);
  AgentPartsSite site({stored(v2)}, {kLedger, kOther});
  agent::PartialTransfers transfers(site.releases);
  transfers.adopt({{kLedger, 2, sha256("a"), 100, 0, "old"},
                   {kOther, 3, sha256("b"), 100, 0, "front"},
                   {model::LedgerId{1, "gone"}, 1, sha256("c"), 100, 0, "gone"}});
  CHECK_FALSE(transfers.resume_token(kLedger));
  REQUIRE(transfers.resume_token(kOther));
  CHECK(transfers.resume_token(kOther)->offset == 5);
  for (int i = 0; i < 2; ++i) {
    const auto step = transfers.next_step(nullptr);
    REQUIRE(step);
    CHECK(std::holds_alternative<agent::DropStaged>(*step));
  }
  CHECK_FALSE(transfers.next_step(nullptr));
  wire::Offer other;
  other.ledger = kOther;
  other.stream = 1;
  other.artifact = sha256("another");
  transfers.on_offer(other);
  CHECK_FALSE(transfers.resume_token(kOther));
  CHECK(transfers.next_step(nullptr));
  transfers.on_offer(other);
  transfers.stop();
  CHECK_FALSE(transfers.next_step(nullptr));
}

// --- ContentRepair

struct RepairSite : AgentPartsSite {
  using AgentPartsSite::AgentPartsSite;
  agent::PartialTransfers transfers{releases};
  agent::ContentRepair repair{parts(), transfers};

  void scanned(uint64_t version, Result<agent::ContentScan> scan,
               const agent::DesiredState* failed = nullptr) {
    const agent::ScanRequest request{kLedger, version, std::nullopt};
    if (!repair.drop_if_unreadable(request, scan))
      repair.on_content_scan(request, std::move(scan), failed);
  }
};

TEST_CASE("damage of the newest release is asked for, and no more") {
  const TestRelease v1 = make_release();
  RepairSite site({stored(v1)});
  site.scanned(1, agent::ContentScan{{sha256("lost")}, {}});
  REQUIRE(site.registry.wants.size() == 1);
  CHECK(site.registry.wants[0].base);
  CHECK(site.registry.wants[0].missing_blobs == std::vector<Hash>{sha256("lost")});
  CHECK(site.all<agent::effect::Alarm>().size() == 1);
  CHECK(site.repair.held(kLedger)->version == 1);
  site.repair.on_stored(kLedger);
  CHECK(site.repair.want(kLedger, true).missing_blobs.empty());
}

TEST_CASE("a release whose file list is lost is fetched whole, until one is stored") {
  RepairSite site({stored(make_release())});
  site.scanned(1, fail(ErrorCode::kCorrupt, "no list"));
  REQUIRE(site.registry.wants.size() == 1);
  CHECK_FALSE(site.registry.wants[0].base);
  CHECK_FALSE(site.repair.want(kLedger, true).base);
  site.repair.on_stored(kLedger);
  CHECK(site.repair.want(kLedger, true).base);
}

TEST_CASE("an older release that cannot be read is a fallback no longer") {
  const TestRelease v1 = make_release(), v2 = make_release(&v1);
  RepairSite site({stored(v2), stored(v1)});
  site.scanned(1, agent::ContentScan{{sha256("lost")}, {}});
  CHECK(site.releases.usable(kLedger).size() == 1);
  CHECK(site.registry.wants.empty());
}

TEST_CASE("what reads well after it could not be read is brought anew") {
  RepairSite site({stored(make_release())});
  const agent::DesiredState state = site.releases.desired({{kLedger, {1, false}}});
  site.repair.on_unreadable(state);
  REQUIRE(site.all<agent::effect::ScanContent>().size() == 1);
  site.scanned(1, agent::ContentScan{}, &state);
  REQUIRE(site.registry.wants.size() == 1);
  CHECK_FALSE(site.registry.wants[0].base);
}

TEST_CASE("a registry that knows no release of a node gets an inventory of the newest") {
  RepairSite site({stored(make_release())}, {kLedger, kOther});
  site.repair.on_inventory_wanted(kOther, delta::InventoryForm::kShortest);
  CHECK(site.registry.inventories == std::vector<model::LedgerId>{kOther});
  site.repair.on_inventory_wanted(kLedger, delta::InventoryForm::kShortest);
  const auto scans = site.all<agent::effect::ScanContent>();
  REQUIRE(scans.size() == 1);
  CHECK(scans[0].request.version == 1);
  CHECK(scans[0].request.form == delta::InventoryForm::kShortest);
}

// --- Activation

struct ActivationSite : RepairSite {
  using RepairSite::RepairSite;
  agent::Activation activation{parts()};

  // The request of the last Activate; clears the effects.
  agent::DesiredState given() {
    const auto activates = all<agent::effect::Activate>();
    REQUIRE(activates.size() == 1);
    clear();
    return activates[0].desired;
  }
};

TEST_CASE("a PDP is given what is stored, once") {
  ActivationSite site({stored(make_release())});
  site.activation.update(/*again=*/false);
  const agent::DesiredState first = site.given();
  CHECK(first.at(kLedger).version == 1);
  site.activation.update(/*again=*/false);
  CHECK(site.effects.empty());
  site.activation.update(/*again=*/true);
  site.given();
  site.activation.on_activated(first);
  CHECK_FALSE(site.activation.in_flight());
  CHECK(site.releases.proven(kLedger) == 1);
  CHECK(site.all<agent::effect::Changed>().size() == 1);
}

TEST_CASE("what the PDP decides with already is not read again") {
  const TestRelease v1 = make_release(), other = make_release_of(kOther);
  ActivationSite site({stored(v1), stored(other)}, {kLedger, kOther});
  site.activation.update(/*again=*/false);
  site.activation.on_activated(site.given());
  site.clear();
  site.releases.add(stored(make_release(&v1)), {1});
  site.activation.update(/*again=*/false);
  const auto activates = site.all<agent::effect::Activate>();
  REQUIRE(activates.size() == 1);
  CHECK_FALSE(activates[0].releases.at(kLedger).is_active);
  CHECK(activates[0].releases.at(kOther).is_active);
  CHECK(activates[0].releases.at(kOther).data_roots == other.release.data_roots);
}

TEST_CASE("a refused release is quarantined, and the one before it stays") {
  const TestRelease v1 = make_release(), v2 = make_release(&v1);
  ActivationSite site({stored(v1)});
  site.reports.begin_session();
  site.activation.update(/*again=*/false);
  site.activation.on_activated(site.given());
  site.releases.add(stored(v2), {1});
  site.clear();
  site.activation.update(/*again=*/false);
  site.activation.on_rejected(site.given(), refusal());
  const auto persists = site.all<agent::effect::Persist>();
  REQUIRE(persists.size() == 1);
  CHECK(std::get<store::change::Quarantine>(persists[0].change).version == 2);
  CHECK(site.given().at(kLedger).version == 1);
  CHECK(site.releases.newest(kLedger)->quarantined);
}

TEST_CASE("of two changes that are refused together the bad one is found") {
  const TestRelease v1 = make_release(), o1 = make_release_of(kOther);
  const TestRelease v2 = make_release(&v1), o2 = make_release_of(kOther, &o1);
  ActivationSite site({stored(v1), stored(o1)}, {kLedger, kOther});
  site.activation.update(/*again=*/false);
  site.activation.on_activated(site.given());
  site.releases.add(stored(v2), {1});
  site.releases.add(stored(o2), {1});
  site.clear();
  const auto answer = [&] {
    const agent::DesiredState state = site.given();
    if (state.at(kOther).version == 2)
      site.activation.on_rejected(state, refusal());
    else
      site.activation.on_activated(state);
  };
  site.activation.update(/*again=*/false);
  for (int i = 0; i < 5 && site.activation.in_flight(); ++i) {
    answer();
    if (site.all<agent::effect::Activate>().empty()) break;
  }
  CHECK(site.releases.active(kLedger)->version == 2);
  CHECK(site.releases.active(kOther)->version == 1);
  CHECK(site.releases.newest(kOther)->quarantined);
  CHECK_FALSE(site.releases.newest(kLedger)->quarantined);
}

TEST_CASE("what could not be read is not tried again before something changes") {
  ActivationSite site({stored(make_release())});
  site.activation.update(/*again=*/false);
  site.activation.on_unreadable(site.given());
  CHECK(site.activation.failed());
  site.activation.update(/*again=*/false);
  CHECK(site.effects.empty());
  site.activation.forget_failures();
  site.activation.update(/*again=*/false);
  CHECK(site.given().at(kLedger).version == 1);
}

// --- Installer

struct InstallerSite : ActivationSite {
  using ActivationSite::ActivationSite;
  agent::Installer installer{parts(), repair, transfers, activation, limits::kReleasesKept};

  static agent::ReceivedArtifact received(uint64_t version, std::optional<uint64_t> base = {}) {
    agent::ReceivedArtifact out{.offer = {}, .artifact = std::make_shared<const Bytes>("bytes")};
    out.offer.ledger = kLedger;
    out.offer.version = version;
    if (base) out.offer.base = wire::Base{*base, {}};
    return out;
  }
};

TEST_CASE("one artifact is installed after the other") {
  InstallerSite site({stored(make_release())});
  site.installer.add(InstallerSite::received(2));
  site.installer.add(InstallerSite::received(3, 1));
  REQUIRE(site.all<agent::effect::Install>().size() == 1);
  CHECK(site.all<agent::effect::Install>()[0].request.base_version == 0);
  CHECK(site.installer.finish().offer.version == 2);
  site.clear();
  site.installer.start_next();
  const auto installs = site.all<agent::effect::Install>();
  REQUIRE(installs.size() == 1);
  CHECK(installs[0].request.base_version == 1);
  CHECK(installs[0].request.base_envelope == site.releases.newest(kLedger)->envelope);
  CHECK(installs[0].request.kept_versions == std::set<uint64_t>{1});
}

TEST_CASE("an artifact whose base is not stored is asked for whole") {
  InstallerSite site({stored(make_release())});
  site.installer.add(InstallerSite::received(9, 8));
  CHECK(site.all<agent::effect::Install>().empty());
  REQUIRE(site.registry.wants.size() == 1);
  CHECK_FALSE(site.registry.wants[0].base);
}

TEST_CASE("why an installation failed decides how it is tried again") {
  InstallerSite site({stored(make_release())});
  site.reports.begin_session();
  site.reports.see_offer(kLedger, 2);
  const wire::Offer whole = InstallerSite::received(2).offer,
                    delta = InstallerSite::received(2, 1).offer;
  SUBCASE("a damaged base is looked through") {
    site.installer.on_failed(delta, {ErrorCode::kCorrupt, "rot", {}});
    CHECK(site.all<agent::effect::ScanContent>().size() == 1);
    CHECK(site.registry.commits.empty());
  }
  SUBCASE("a delta that does not fit is replaced by full content") {
    site.installer.on_failed(delta, {ErrorCode::kContentRoot, "other", {}});
    CHECK(site.registry.wants.size() == 1);
    CHECK(site.registry.commits.empty());
  }
  SUBCASE("a forgery is an alarm and a report") {
    site.installer.on_failed(whole, {ErrorCode::kSignature, "forged", {}});
    CHECK(site.all<agent::effect::Alarm>().size() == 1);
    REQUIRE(site.registry.commits.size() == 1);
    CHECK(site.registry.commits[0].state == wire::CommitState::kRejected);
  }
  SUBCASE("what begins with the bytes of an earlier session accuses no registry") {
    wire::Offer resumed = whole;
    resumed.offset = 10;
    site.installer.on_failed(resumed, {ErrorCode::kSignature, "forged", {}});
    CHECK(site.all<agent::effect::Alarm>().empty());
    CHECK(site.registry.wants.size() == 1);
  }
  SUBCASE("a store that fails ends the session") {
    site.installer.on_failed(whole, {ErrorCode::kIo, "disk", {}});
    CHECK(site.registry.byes.size() == 1);
  }
}

// --- FreshnessWatch, TrustUpdates

TEST_CASE("trusted time is kept at once, and again after its interval") {
  AgentPartsSite site;
  agent::FreshnessWatch watch(site.parts(), 100);
  CHECK(watch.next_deadline() == 100);
  watch.keep_time_if_due(99);
  CHECK(site.effects.empty());
  watch.keep_time_if_due(100);
  REQUIRE(site.all<agent::effect::Persist>().size() == 1);
  CHECK(std::holds_alternative<store::change::KeepTime>(
      site.all<agent::effect::Persist>()[0].change));
  CHECK(watch.next_deadline() == 100 + limits::kClockKeepMs);
  watch.on_time_kept(500);
  CHECK(watch.next_deadline() == 500 + limits::kClockKeepMs);
}

TEST_CASE("an active release that gets older is reported once, and time is kept with it") {
  ActivationSite site({stored(make_release())}, {kLedger}, samples::tracked_root());
  site.reports.begin_session();
  site.activation.update(/*again=*/false);
  site.activation.on_activated(site.given());
  agent::FreshnessWatch watch(site.parts(), 0);
  site.clear();
  site.trust.tick({AgentPartsSite::kNow.wall_ms + 40 * 86'400'000LL, 1'000'000});
  watch.refresh({});
  REQUIRE(site.all<agent::effect::Aged>().size() == 1);
  CHECK(site.all<agent::effect::Aged>()[0].freshness_status.state ==
        trust::FreshnessState::kExpired);
  REQUIRE(site.all<agent::effect::Persist>().size() == 1);
  CHECK(std::holds_alternative<store::change::KeepTime>(
      site.all<agent::effect::Persist>()[0].change));
  site.clear();
  watch.refresh({});
  CHECK(site.effects.empty());
}

TEST_CASE("of a registry whose root fails verification nothing more is taken") {
  AgentPartsSite site;
  SeededRandom random(1);
  agent::DialPlan dial(1, 1, random, 0);
  agent::FreshnessWatch watch(site.parts(), 0);
  agent::TrustUpdates updates(site.parts(), dial, watch);
  updates.begin_session();
  trust::Root next = samples::root();
  next.version = 2;
  CHECK(updates.on_root(samples::signed_by(next, {9}).encode()));
  CHECK(dial.is_rejected());
  CHECK(site.reports.trouble(agent::NodeTrouble::kRoot));
  CHECK_FALSE(updates.on_root(samples::signed_by(next, {1}).encode()));
  CHECK(site.all<agent::effect::Persist>().empty());
}

TEST_CASE("a root that follows is trusted and made durable") {
  AgentPartsSite site;
  SeededRandom random(1);
  agent::DialPlan dial(1, 1, random, 0);
  agent::FreshnessWatch watch(site.parts(), 0);
  agent::TrustUpdates updates(site.parts(), dial, watch);
  trust::Root next = samples::root();
  next.version = 2;
  CHECK_FALSE(updates.on_root(samples::signed_by(next, {1}).encode()));
  CHECK(site.trust.root().version == 2);
  const auto persists = site.all<agent::effect::Persist>();
  REQUIRE(persists.size() == 1);
  CHECK(std::get<store::change::PinRoot>(persists[0].change).root.version == 2);
}

TEST_CASE("a release of a new epoch replaces one of the same version") {
  AgentNode node(samples::signed_by(samples::root(), {1}).encode());
  node.boot();
  node.connect();
  node.send_release(make_release());
  trust::Root next = samples::root();
  next.version = next.epoch = 2;
  node.send_root(samples::signed_by(next, {1}));
  const TestRelease again = make_release(nullptr, [](trust::Release& release) {
    release.epoch = 2;
    release.fresh_s += 1;
  });
  node.send_release(again);
  CHECK(node.decides().version == 1);
  CHECK(node.decides().release_hash == again.hash);
}

// --- StoreChange

TEST_CASE("each change reaches the store") {
  sim::MemoryStore store;
  CHECK(store::apply_change(store, store::change::PinRoot{{1, "root"}, false}));
  CHECK(store.state().root_chain.size() == 1);
  CHECK(store::apply_change(store, store::change::KeepTime{{77, 66}}));
  CHECK(store.state().clock == trust::ClockMarks{77, 66});
  store::FreshnessKeep keep;
  keep.sequence = 5;
  CHECK(store::apply_change(store, store::change::KeepFreshness{keep}));
  CHECK(store.state().freshness_sequence == 5);
  const store::StoredRelease release = stored(make_release());
  store.tampered_state().ledgers[kLedger].releases = {release};
  CHECK(store::apply_change(store, store::change::Confirm{kLedger, 1}));
  CHECK(store.state().ledgers.at(kLedger).releases[0].confirmed);
  CHECK(store::apply_change(store, store::change::Quarantine{kLedger, 1, refusal()}));
  CHECK(store.state().ledgers.at(kLedger).releases[0].quarantined);
  CHECK(store::apply_change(store, store::change::DropLedger{kLedger}));
  CHECK((!store.state().ledgers.contains(kLedger) ||
         store.state().ledgers.at(kLedger).releases.empty()));
}

}  // namespace
}  // namespace notp
