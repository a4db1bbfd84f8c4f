// The store on a disk that fails: at every single operation of a swap, once, for good, or with a
// loss of power. It holds the old release or the new one, whole, and goes on from there.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/random.hpp"
#include "notp-client/store/sqlite_store.hpp"
#include "tests/fault/fault_disk.hpp"
#include "tests/support/stored_models.hpp"

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
  uint64_t before;  // releases stored before the swap
  size_t kept;
};

struct Trial {
  const Case& what;
  Fault fault;
  TemporaryFolder folder;

  Swap swap_in(uint64_t version) const {
    return swap_of(model_of(version, what.document_bytes), version);
  }

  void prepare() {
    auto store = open(folder.path(), what.kept);
    for (uint64_t version = 1; version <= what.before; ++version)
      REQUIRE(store->swap(swap_in(version)));
  }

  // The next swap and what idle time does after it; false: the nth operation never came.
  bool run(uint64_t n) {
    FaultDisk& disk = FaultDisk::instance();
    const uint64_t next = what.before + 1;
    auto store = open(folder.path(), what.kept);
    disk.arm(n, fault);
    const bool swapped = store->swap(swap_in(next)).has_value();
    while (store->collect().value_or(false)) continue;
    if (fault == Fault::kOnce) {
      disk.disarm();
      check_old_or_new(*store, swapped);
      // The same store goes on.
      REQUIRE(store->swap(swap_in(next)));
    }
    store.reset();
    const bool struck = disk.struck();
    disk.disarm();
    if (fault == Fault::kPower) {
      SeededRandom random(n);
      disk.power_cut(random);
    }
    store = open(folder.path(), what.kept);
    check_old_or_new(*store, swapped || fault == Fault::kOnce);
    REQUIRE(store->swap(swap_in(next)));
    collect_all(*store);
    CHECK(versions(*store).front() == next);
    store.reset();
    const StoreCheck check = SqliteStore::open_to_read(folder.path()).value()->check();
    for (const StoreFinding& finding : check.findings)
      FAIL_CHECK(finding.part, " ", finding.subject, ": ", finding.problem);
    return struck;
  }

  void check_old_or_new(SqliteStore& store, bool is_new) {
    const std::vector<uint64_t> kept = versions(store);
    const uint64_t newest = kept.empty() ? 0 : kept.front();
    CHECK(newest <= what.before + 1);
    CHECK(newest >= what.before + (is_new ? 1 : 0));
    if (newest > 0) CHECK(store.load()->ledgers.at(kPayments).floor.version == newest);
    for (const uint64_t version : kept)
      check_holds(store, model_of(version, what.document_bytes), version);
  }
};

}  // namespace

TEST_CASE("a disk that fails at any operation of a swap leaves the old or the new release") {
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
      // A large swap has hundreds of writes that are all alike: all at the ends, some between.
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

}  // namespace notp
