// The registry's tree: what it signs, proves and goes on with.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <set>

#include "common/random.hpp"
#include "notp-server/audit_tree/tree_log.hpp"
#include "tests/support/registry/memory_tree_store.hpp"

namespace notp::audit {
namespace {

const std::string kRegistry = "spiffe://core.internal/registry/main";

PrivateKey tree_key() { return PrivateKey::from_seed({9, 9}); }
std::string tree_origin() {
  return record::log_origin(kRegistry, record::LogId::of(tree_key().public_key()));
}
std::unique_ptr<TreeLog> open_tree(MemoryTreeStore& store) {
  auto tree = TreeLog::open(store, tree_origin(), tree_key());
  REQUIRE_MESSAGE(tree, tree.error().message);
  return *std::move(tree);
}

record::LogId log_of(uint8_t number) { return record::LogId{{number, 1, 2, 3}}; }

record::TreeEntry checkpoint_of(const record::LogId& log, uint64_t size) {
  record::TreeEntry out;
  out.kind = record::TreeEntryKind::kCheckpoint;
  out.time_ms = 1'000 + static_cast<TimeMs>(size);
  out.log = log;
  out.size = size;
  out.root = sha256(fmt::format("{} {}", log.hex(), size));
  return out;
}
record::TreeEntry read_by(std::string who) {
  record::TreeEntry out;
  out.kind = record::TreeEntryKind::kRead;
  out.time_ms = 7;
  out.by = std::move(who);
  out.rule = "DecisionsRequest";
  return out;
}

Hash root_of(const SealedCheckpoint& sealed) {
  const auto checkpoint = record::verify_checkpoint(sealed.note, tree_key().public_key());
  REQUIRE_MESSAGE(checkpoint, checkpoint.error().message);
  CHECK(checkpoint->origin == tree_origin());
  CHECK(checkpoint->size == sealed.size);
  return checkpoint->root;
}

// A tree that has grown by random steps, and what each step signed.
struct Grown {
  MemoryTreeStore store;
  std::unique_ptr<TreeLog> tree = open_tree(store);
  std::vector<Hash> leaves;
  std::vector<SealedCheckpoint> sealed;

  void grow(size_t count) {
    std::vector<record::TreeEntry> entries;
    for (size_t i = 0; i < count; ++i) {
      const uint64_t index = leaves.size();
      entries.push_back(index % 3 == 0 ? read_by(fmt::format("reader {}", index))
                                       : checkpoint_of(log_of(index % 5), index));
      leaves.push_back(record::tree_leaf(record::encode(entries.back())));
    }
    const auto done = tree->append(entries, 5'000 + static_cast<TimeMs>(sealed.size()));
    REQUIRE_MESSAGE(done, done.error().message);
    sealed.push_back(*done);
  }
};

TEST_CASE("each checkpoint is the root of all leaves, whatever was sealed at once") {
  Grown grown;
  record::Frontier plain;
  SeededRandom random(1);
  while (grown.leaves.size() < 3'000) {
    const size_t before = grown.leaves.size();
    grown.grow(1 + random.below(before < 300 ? 3 : 400));
    for (size_t i = before; i < grown.leaves.size(); ++i) plain.append(grown.leaves[i]);
    CHECK(root_of(grown.sealed.back()) == plain.root());
    CHECK(grown.tree->size() == plain.size());
  }
}

TEST_CASE("a tree of more than 65,536 leaves has tiles of three levels, and proves from them") {
  Grown grown;
  while (grown.leaves.size() < 66'000) grown.grow(1'500);
  CHECK(grown.store.image.tiles.contains({2, 0}));
  CHECK(grown.store.image.tiles.at({1, 0}).hashes.size() == limits::kTileWidth);
  const uint64_t size = grown.tree->size();
  const Hash root = root_of(grown.sealed.back());
  for (const uint64_t index :
       {uint64_t{0}, uint64_t{255}, uint64_t{256}, uint64_t{65'535}, uint64_t{65'536}, size - 1}) {
    const auto proof = grown.tree->inclusion(index, size);
    REQUIRE(proof);
    CHECK(record::verify_inclusion(grown.leaves[index], index, size, *proof, root));
  }
  const auto proof = grown.tree->consistency(grown.sealed[3].size, size);
  REQUIRE(proof);
  CHECK(record::verify_consistency(grown.sealed[3].size, root_of(grown.sealed[3]), size, root,
                                   *proof));
}

TEST_CASE("proofs hold between any two checkpoints, also after a restart") {
  Grown grown;
  SeededRandom random(2);
  while (grown.leaves.size() < 2'000) grown.grow(1 + random.below(150));
  for (const bool restarted : {false, true}) {
    if (restarted) grown.tree = open_tree(grown.store);
    for (int round = 0; round < 400; ++round) {
      const auto& newer = grown.sealed[random.below(grown.sealed.size())];
      const auto& older = grown.sealed[random.below(grown.sealed.size())];
      const uint64_t index = random.below(newer.size);
      const auto inclusion = grown.tree->inclusion(index, newer.size);
      REQUIRE(inclusion);
      CHECK(record::verify_inclusion(grown.leaves[index], index, newer.size, *inclusion,
                                     root_of(newer)));
      CHECK_FALSE(record::verify_inclusion(grown.leaves[(index + 1) % grown.leaves.size()], index,
                                           newer.size, *inclusion, root_of(newer)));
      if (older.size > newer.size) continue;
      const auto consistency = grown.tree->consistency(older.size, newer.size);
      REQUIRE(consistency);
      CHECK(record::verify_consistency(older.size, root_of(older), newer.size, root_of(newer),
                                       *consistency));
    }
  }
}

TEST_CASE("a restart goes on with the same tree") {
  Grown grown, restarted;
  SeededRandom random(3);
  for (int round = 0; round < 60; ++round) {
    const size_t count = 1 + random.below(60);
    grown.grow(count);
    restarted.grow(count);
    restarted.tree = open_tree(restarted.store);
    CHECK(restarted.tree->newest().note == grown.tree->newest().note);
    CHECK(restarted.tree->newest_leaf_of(log_of(1))->size ==
          grown.tree->newest_leaf_of(log_of(1))->size);
  }
  CHECK(restarted.store.image.entries == grown.store.image.entries);
}

TEST_CASE("what a disk does not take changes nothing, and can be repeated") {
  Grown grown;
  grown.grow(300);
  const auto before = grown.tree->newest();
  grown.store.fails = true;
  CHECK(grown.tree->append({read_by("eve")}, 1).error().code == ErrorCode::kIo);
  CHECK(grown.tree->newest().note == before.note);
  grown.store.fails = false;
  grown.grow(300);
  record::Frontier plain;
  for (const Hash& leaf : grown.leaves) plain.append(leaf);
  CHECK(root_of(grown.sealed.back()) == plain.root());
}

TEST_CASE("a tree that is not the one that was signed does not open") {
  Grown grown;
  grown.grow(700);
  const auto error_of = [&](MemoryTreeStore store, std::string origin = tree_origin(),
                            PrivateKey key = tree_key()) {
    const auto opened = TreeLog::open(store, std::move(origin), std::move(key));
    REQUIRE_FALSE(opened);
    return opened.error();
  };
  MemoryTreeStore changed = grown.store;
  changed.image.tiles.at({0, 2}).hashes[5].bytes[0] ^= 1;
  CHECK(error_of(changed).code == ErrorCode::kCorrupt);
  MemoryTreeStore shorter = grown.store;
  shorter.image.tiles.at({0, 2}).hashes.pop_back();
  CHECK(error_of(shorter).code == ErrorCode::kCorrupt);
  MemoryTreeStore lacking = grown.store;
  lacking.image.tiles.erase({1, 0});
  CHECK(error_of(lacking).code == ErrorCode::kCorrupt);
  CHECK(error_of(grown.store, tree_origin(), PrivateKey::from_seed({1})).code ==
        ErrorCode::kCorrupt);
  CHECK(error_of(grown.store, "core.internal/decisions/registry/other/00").code ==
        ErrorCode::kCorrupt);
}

TEST_CASE("a tree finds the leaf of a node's checkpoint, the first one when it comes twice") {
  MemoryTreeStore store;
  auto tree = open_tree(store);
  CHECK(tree->size() == 0);
  CHECK(root_of(tree->newest()) == record::Frontier().root());
  REQUIRE(tree->append({checkpoint_of(log_of(1), 10), read_by("eve"), checkpoint_of(log_of(2), 4)},
                       100));
  REQUIRE(tree->append({checkpoint_of(log_of(1), 25), checkpoint_of(log_of(1), 10)}, 200));
  CHECK((*tree->leaf_of(log_of(1), 10))->index == 0);
  CHECK((*tree->leaf_of(log_of(1), 25))->index == 3);
  CHECK((*tree->leaf_of(log_of(1), 25))->time_ms == 1'025);
  CHECK_FALSE((*tree->leaf_of(log_of(1), 11)).has_value());
  CHECK(tree->newest_leaf_of(log_of(1))->size == 25);
  CHECK(tree->newest_leaf_of(log_of(2))->index == 2);
  CHECK_FALSE(tree->newest_leaf_of(log_of(3)).has_value());
  const auto entries = tree->entries(1, 3, 1 << 20);
  REQUIRE(entries);
  REQUIRE(entries->size() == 2);
  CHECK(record::decode_tree_entry((*entries)[0]) == read_by("eve"));
  CHECK(tree->entries(0, 5, 1)->size() == 1);
}

// --- cosignatures

struct Cosigner {
  PrivateKey key;
  std::string name;
  explicit Cosigner(uint8_t number)
      : key(PrivateKey::from_seed({number, 77})), name(fmt::format("witness-{}", number)) {}
  record::Cosignature of(const SealedCheckpoint& sealed, int64_t time_s = 1'234) const {
    return {name, time_s, *record::cosign(sealed.note, time_s, key)};
  }
};

TEST_CASE("cosignatures are kept with their checkpoint, as many as it can hold") {
  Grown grown;
  grown.grow(5);
  for (uint8_t i = 0; i < limits::kCosignaturesMax; ++i) {
    const Cosigner cosigner(i);
    CHECK(*grown.tree->cosigned(5, cosigner.of(grown.sealed[0]), cosigner.key.public_key()));
  }
  const SealedCheckpoint full = grown.tree->newest();
  CHECK(full.cosignatures == limits::kCosignaturesMax);
  CHECK(record::cosigned_at(full.note, "witness-3", Cosigner(3).key.public_key()) == 1'234);
  const Cosigner late(200);
  CHECK_FALSE(*grown.tree->cosigned(5, late.of(grown.sealed[0]), late.key.public_key()));
  CHECK(grown.tree->newest().note == full.note);
  CHECK(open_tree(grown.store)->newest().note == full.note);
}

TEST_CASE("a false cosignature is refused, and one of a checkpoint that is not kept does nothing") {
  Grown grown;
  grown.grow(5);
  grown.grow(5);
  const Cosigner cosigner(1);
  record::Cosignature false_one = cosigner.of(grown.sealed[1]);
  false_one.time_s += 1;
  CHECK(grown.tree->cosigned(10, false_one, cosigner.key.public_key()).error().code ==
        ErrorCode::kSignature);
  CHECK(grown.tree->cosigned(10, cosigner.of(grown.sealed[0]), cosigner.key.public_key())
            .error()
            .code == ErrorCode::kSignature);
  CHECK_FALSE(*grown.tree->cosigned(7, cosigner.of(grown.sealed[0]), cosigner.key.public_key()));
  CHECK(grown.tree->newest().cosignatures == 0);
}

TEST_CASE("a tree says since when it has no cosignature") {
  Grown grown;
  CHECK(grown.tree->unwitnessed_since_ms() == 0);
  grown.grow(5);
  grown.grow(5);
  grown.grow(5);
  CHECK(grown.tree->unwitnessed_since_ms() == 5'000);
  const Cosigner cosigner(1);
  const auto cosign = [&](size_t step) {
    REQUIRE(*grown.tree->cosigned(grown.sealed[step].size, cosigner.of(grown.sealed[step]),
                                  cosigner.key.public_key()));
  };
  cosign(1);
  CHECK(grown.tree->unwitnessed_since_ms() == 5'002);
  CHECK(open_tree(grown.store)->unwitnessed_since_ms() == 5'002);
  cosign(0);
  CHECK(grown.tree->unwitnessed_since_ms() == 5'002);
  CHECK(grown.tree->best_for(4)->size == 10);
  CHECK(grown.tree->best_for(9)->size == 10);
  CHECK(grown.tree->best_for(10)->size == 15);
  cosign(2);
  CHECK(grown.tree->unwitnessed_since_ms() == 0);
  grown.grow(1);
  CHECK(grown.tree->unwitnessed_since_ms() == 5'003);
}

TEST_CASE("old checkpoints go, the newest cosigned one stays") {
  Grown grown;
  const Cosigner cosigner(1);
  for (size_t i = 0; i < limits::kTreeCheckpointsMax + 50; ++i) {
    grown.grow(1);
    if (i == 10)
      REQUIRE(*grown.tree->cosigned(11, cosigner.of(grown.sealed[i]), cosigner.key.public_key()));
  }
  CHECK(grown.store.image.checkpoints.size() == limits::kTreeCheckpointsMax);
  CHECK(grown.tree->best_for(3)->size == 11);
  CHECK(grown.tree->best_for(11)->size == grown.tree->size());
}

}  // namespace
}  // namespace notp::audit
