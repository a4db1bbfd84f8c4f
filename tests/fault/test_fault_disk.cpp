// The store on a failing disk: at every single operation of an install, once, permanently, or with
// a power loss. It keeps the old release or the new one, complete, and continues from there.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <set>

#include "common/random.hpp"
#include "notp-client/store/sqlite_store.hpp"
#include "tests/fault/fault_disk.hpp"
#include "tests/support/agent/stored_models.hpp"

namespace notp {
namespace {

using Fault = FaultDisk::Fault;
using namespace stored;

const Model& model_of(uint64_t version, size_t document_bytes) {
  static std::map<std::pair<uint64_t, size_t>, Model> made;
  Model& model = made[{version, document_bytes}];
  if (!model.empty()) return model;
  model = kModel;
  model["a.rego"] = fmt::format("package a{}", version);
  model["data.json"] = document(document_bytes, version);
  return model;
}

struct Case {
  const char* name;
  size_t document_bytes;
  uint64_t before;  // releases stored before the install
  size_t kept;
  bool trusts = false;  // the state of a node before its first release
};

const model::LedgerId kOther{100'000'000'000, "other"};
const store::StoredRoot kRoot{3, "root"};
const store::FreshnessKeep kAttested{.sequence = 7,
                                     .envelope = "vouched",
                                     .listed = {{kOther, {1, 9, sha256("other")}}},
                                     .clock = {900, 800}};

void check_trusts(const store::StoreState& state) {
  REQUIRE(state.root_chain.size() == 1);
  CHECK(state.root_chain.front().envelope == kRoot.envelope);
  CHECK(state.freshness_sequence == kAttested.sequence);
  REQUIRE(state.statements.size() == 1);
  CHECK(state.statements.front().envelope == kAttested.envelope);
  CHECK(state.clock.wall_ms >= 950);
  CHECK(state.ledgers.at(kOther).listed == kAttested.listed.at(kOther));
}

struct Trial {
  const Case& what;
  Fault fault;
  TemporaryFolder folder;

  store::InstallRecord record_of(uint64_t version) const {
    return keep_last(what.kept, install_of(model_of(version, what.document_bytes), version));
  }

  void prepare() {
    auto store = open(folder.path());
    if (what.trusts) {
      REQUIRE(store->pin_root(kRoot, false));
      REQUIRE(store->keep_freshness(kAttested));
    }
    for (uint64_t version = 1; version <= what.before; ++version)
      REQUIRE(store->install(record_of(version)));
  }

  // The next install and the idle work after it; false: there is no nth operation.
  bool run(uint64_t n) {
    FaultDisk& disk = FaultDisk::instance();
    const uint64_t next = what.before + 1;
    auto store = open(folder.path());
    if (what.trusts) REQUIRE(store->keep_time({950, 0}));  // so that there is a log
    disk.arm(n, fault);
    const bool installed = store->install(record_of(next)).has_value();
    while (store->collect_garbage().value_or(false)) continue;
    if (fault == Fault::kOnce) {
      disk.disarm();
      check_old_or_new(*store, installed);
      // The same store continues.
      REQUIRE(store->install(record_of(next)));
    }
    store.reset();
    const bool struck = disk.struck();
    disk.disarm();
    if (fault == Fault::kPower) {
      SeededRandom random(n);
      disk.power_cut(random);
    }
    store = open(folder.path());
    CHECK_FALSE(std::filesystem::exists(folder.path() / "agent.db.new"));
    check_old_or_new(*store, installed || fault == Fault::kOnce);
    const auto again = store->install(record_of(next));
    REQUIRE_MESSAGE(again, again.error().message);
    collect_all(*store);
    CHECK(versions(*store).front() == next);
    store.reset();
    const store::StoreCheck check =
        store::SqliteStore::open_to_read(folder.path()).value()->check();
    for (const store::StoreFinding& finding : check.findings)
      FAIL_CHECK(finding.part, " ", finding.subject, ": ", finding.problem);
    return struck;
  }

  void check_old_or_new(store::SqliteStore& store, bool is_new) {
    const std::vector<uint64_t> kept = versions(store);
    const uint64_t newest = kept.empty() ? 0 : kept.front();
    CHECK(newest <= what.before + 1);
    CHECK(newest >= what.before + (is_new ? 1 : 0));
    if (newest > 0) CHECK(store.load()->ledgers.at(kPayments).floor.version == newest);
    if (what.trusts) check_trusts(*store.load());
    for (const uint64_t version : kept)
      check_holds(store, model_of(version, what.document_bytes), version);
  }
};

}  // namespace

TEST_CASE("a disk that fails at any operation of an install leaves the old or the new release") {
  FaultDisk::instance();
  const Case cases[] = {
      {"a first release", 200 << 10, 0, 2},
      {"an update that drops a release", 200 << 10, 2, 2},
      {"an update that is larger than the page cache", 9 << 20, 1, 2},
  };
  for (const Case& what : cases) {
    const bool large = what.document_bytes > 1 << 20;
    for (const Fault fault : {Fault::kOnce, Fault::kDead, Fault::kPower}) {
      uint64_t n = 1, trials = 0;
      // A large install has hundreds of similar writes: all at both ends, some in between.
      for (bool struck = true; struck; ++trials, n += large && n > 8 && trials % 4 != 0 ? 97 : 1) {
        INFO(what.name, ", fault ", static_cast<int>(fault), " at operation ", n);
        Trial trial{what, fault, {}};
        trial.prepare();
        struck = trial.run(n);
      }
      CHECK(trials > 4);
    }
  }
}

TEST_CASE("a disk that fails at any operation of a cold load leaves the old store or the new one") {
  FaultDisk::instance();
  const Case cold{"a first large release", 5 << 20, 0, 2, /*trusts=*/true};
  uint64_t operations = 0;
  {
    Trial whole{cold, Fault::kOnce, {}};
    whole.prepare();
    whole.run(1'000'000);
    operations = FaultDisk::instance().operations();
  }
  // Between its ends there are only pages of content, all alike.
  std::set<uint64_t> places;
  for (uint64_t n = 1; n <= operations + 1; n += n < 20 || n + 40 > operations ? 1 : 23)
    places.insert(n);
  size_t struck = 0;
  for (const Fault fault : {Fault::kOnce, Fault::kDead, Fault::kPower}) {
    for (const uint64_t n : places) {
      INFO(cold.name, ", fault ", static_cast<int>(fault), " at operation ", n);
      Trial trial{cold, fault, {}};
      trial.prepare();
      struck += trial.run(n) ? 1 : 0;
    }
  }
  MESSAGE(struck, " faults in ", places.size(), " places of ", operations, " operations");
  CHECK(struck >= 3 * (places.size() - 1));
}

}  // namespace notp
