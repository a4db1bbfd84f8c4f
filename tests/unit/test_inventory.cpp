#include <doctest/doctest.h>

#include "common/limits.hpp"
#include "protocol/delta/inventory.hpp"
#include "tests/support/registry/model_samples.hpp"
#include "tests/support/wire/inventory_samples.hpp"

namespace {

using namespace notp;
using samples::Texts;

model::TreePtr tree_of(const Texts& texts) { return samples::model_of(texts).tree; }

Bytes bytes_of(const std::vector<uint64_t>& leaves) { return samples::list_of(leaves); }

uint64_t leaf_at(const model::Tree& tree, std::string_view path) {
  return delta::leaf_of(path, tree.find(path)->hash);
}

delta::Inventory listed(const std::vector<uint64_t>& leaves) {
  return {leaves.size(), bytes_of(leaves), {}};
}

delta::CommonBase common_of(const delta::Inventory& inventory,
                            std::vector<model::TreePtr> candidates) {
  auto found = delta::find_common(inventory, candidates);
  REQUIRE(found);
  REQUIRE(found->has_value());
  return **std::move(found);
}

// Both ends agree, and on these files.
void check_agreement(const model::Tree& held, const std::set<Hash>& missing_blobs,
                     const std::vector<model::TreePtr>& candidates,
                     const std::vector<std::string>& paths) {
  const auto inventory =
      delta::take_inventory(held, missing_blobs, delta::InventoryForm::kShortest);
  REQUIRE(delta::check_inventory(inventory));
  const delta::CommonBase common = common_of(inventory, candidates);
  const auto base = delta::partial_base(held, missing_blobs, common.excluded_leaves);
  REQUIRE(base);
  CHECK(base->content_root() == common.tree->content_root());
  CHECK(base->total_bytes() == common.tree->total_bytes());
  std::vector<std::string> found;
  for (const auto& [path, entry] : common.tree->files()) found.push_back(path);
  CHECK(found == paths);
  CHECK(common.excluded_leaves.size() == 8 * (inventory.files - paths.size()));
}

ErrorCode refusal_of(const delta::Inventory& inventory) {
  const auto checked = delta::check_inventory(inventory);
  REQUIRE_FALSE(checked);
  const auto found = delta::find_common(inventory, std::vector<model::TreePtr>{});
  REQUIRE_FALSE(found);
  CHECK(found.error().code == checked.error().code);
  return checked.error().code;
}

const Texts kHeld = {{"a.rego", "package a\n"},
                     {"b.rego", "package b\n"},
                     {"d/c.rego", "package c\n"},
                     {"d/data.json", "{}"}};

}  // namespace

TEST_CASE("a leaf is of path and content, and of nothing else") {
  const Hash one = model::blob_hash("one"), two = model::blob_hash("two");
  CHECK(delta::leaf_of("a", one) == delta::leaf_of("a", one));
  CHECK(delta::leaf_of("a", one) != delta::leaf_of("a", two));
  CHECK(delta::leaf_of("a", one) != delta::leaf_of("b", one));
  const Hash whole = sha256(Bytes("notp.leaf.v1\0\x06", 14) + "a.rego" +
                            Bytes(model::blob_hash("package a\n").view()));
  uint64_t first = 0;
  for (size_t i = 0; i < 8; ++i) first = first << 8 | whole.bytes[i];
  CHECK(delta::leaf_of("a.rego", model::blob_hash("package a\n")) == first);
}

TEST_CASE("an inventory lists the leaves of what is held, in order") {
  const model::TreePtr tree = tree_of(kHeld);
  std::set<uint64_t> leaves;
  for (const auto& [path, entry] : tree->files()) leaves.insert(delta::leaf_of(path, entry.hash));
  const Bytes expected = bytes_of({leaves.begin(), leaves.end()});
  for (const auto form : {delta::InventoryForm::kShortest, delta::InventoryForm::kListed}) {
    const auto inventory = delta::take_inventory(*tree, {}, form);
    CHECK(inventory.files == 4);
    CHECK(inventory.list == expected);
    CHECK(inventory.sketch.empty());
  }
  const auto damaged =
      delta::take_inventory(*tree, {model::blob_hash("{}")}, delta::InventoryForm::kShortest);
  CHECK(damaged.files == 3);
  CHECK(damaged.list.size() == 24);
  CHECK(damaged.list.find(bytes_of({leaf_at(*tree, "d/data.json")})) == Bytes::npos);
  CHECK(delta::take_inventory(model::Tree(), {}, delta::InventoryForm::kShortest) ==
        delta::Inventory{});
}

TEST_CASE("malformed inventories are refused") {
  CHECK(delta::check_inventory(delta::Inventory{}));
  CHECK(delta::check_inventory(listed({0, 1, UINT64_MAX})));
  CHECK(refusal_of(listed({1, 1})) == ErrorCode::kMessage);
  CHECK(refusal_of(listed({2, 1})) == ErrorCode::kMessage);
  CHECK(refusal_of({2, bytes_of({1}), {}}) == ErrorCode::kMessage);
  CHECK(refusal_of({1, {}, {}}) == ErrorCode::kMessage);
  CHECK(refusal_of({1, bytes_of({1}) + "x", {}}) == ErrorCode::kMessage);
  CHECK(refusal_of({0, bytes_of({1}), {}}) == ErrorCode::kMessage);
  CHECK(refusal_of({1ULL << 61, {}, {}}) == ErrorCode::kMessage);
  delta::Inventory many{limits::kInventoryLeavesMax + 1, {}, {}};
  for (uint64_t leaf = 0; leaf < many.files; ++leaf) many.list += bytes_of({leaf});
  CHECK(refusal_of(many) == ErrorCode::kMessage);
  const Bytes sketch(delta::kSketchBytes, '\0');
  CHECK(delta::check_inventory({1, {}, sketch}));
  CHECK(refusal_of({0, {}, sketch}) == ErrorCode::kMessage);
  CHECK(refusal_of({1, bytes_of({1}), sketch}) == ErrorCode::kMessage);
  CHECK(refusal_of({1, {}, sketch + "x"}) == ErrorCode::kMessage);
  CHECK(refusal_of({1, {}, sketch.substr(1)}) == ErrorCode::kMessage);
  CHECK(refusal_of({limits::kInventoryLeavesMax + 1, {}, sketch}) == ErrorCode::kMessage);
}

TEST_CASE("both ends agree on the files that the registry has") {
  const model::TreePtr held = tree_of(kHeld);
  Texts edited = kHeld;
  edited["b.rego"] = "package b\nallow := true\n";
  SUBCASE("the same tree") {
    check_agreement(*held, {}, {held}, {"a.rego", "b.rego", "d/c.rego", "d/data.json"});
    check_agreement(*held, {}, {tree_of(edited), held},
                    {"a.rego", "b.rego", "d/c.rego", "d/data.json"});
  }
  SUBCASE("an edited file") {
    check_agreement(*held, {}, {tree_of(edited)}, {"a.rego", "d/c.rego", "d/data.json"});
  }
  SUBCASE("a renamed folder") {
    Texts renamed = kHeld;
    renamed["e/c.rego"] = renamed["d/c.rego"];
    renamed.erase("d/c.rego");
    check_agreement(*held, {}, {tree_of(renamed)}, {"a.rego", "b.rego", "d/data.json"});
  }
  SUBCASE("files of several releases") {
    check_agreement(*held, {},
                    {tree_of({{"b.rego", "package b\n"}, {"z.rego", ""}}),
                     tree_of({{"a.rego", "package a\n"}, {"b.rego", "other\n"}}),
                     tree_of({{"b.rego", "package b\n"}})},
                    {"a.rego", "b.rego"});
  }
  SUBCASE("a file that several releases have, and the last of them more") {
    const model::TreePtr two = tree_of({{"a.rego", "package a\n"}, {"b.rego", "package b\n"}});
    const model::TreePtr one = tree_of({{"a.rego", "package a\n"}});
    check_agreement(*two, {}, {one, one, two}, {"a.rego", "b.rego"});
  }
  SUBCASE("damaged contents, under every path that has them") {
    Texts twice = kHeld;
    twice["e/a.rego"] = twice["a.rego"];
    const model::TreePtr both = tree_of(twice);
    check_agreement(*both, {model::blob_hash("package a\n")}, {both},
                    {"b.rego", "d/c.rego", "d/data.json"});
  }
  SUBCASE("nothing in common") {
    check_agreement(*held, {}, {tree_of({{"a.rego", "other\n"}})}, {});
    check_agreement(*held, {}, {}, {});
    check_agreement(*held, {}, {std::make_shared<const model::Tree>()}, {});
    check_agreement(model::Tree(), {}, {held}, {});
  }
}

TEST_CASE("a candidate that is held whole is the common base itself") {
  const model::TreePtr held = tree_of(kHeld);
  Texts more = kHeld;
  more["z.rego"] = "package z\n";
  const auto inventory = delta::take_inventory(*tree_of(more), {}, delta::InventoryForm::kListed);
  CHECK(common_of(inventory, {held}).tree == held);
}

TEST_CASE("an answer that does not fit what is held is refused") {
  const model::TreePtr held = tree_of(kHeld);
  const uint64_t leaf = leaf_at(*held, "a.rego");
  const auto refusal = [&](const Bytes& excluded_leaves, const std::set<Hash>& missing_blobs = {}) {
    const auto base = delta::partial_base(*held, missing_blobs, excluded_leaves);
    REQUIRE_FALSE(base);
    return base.error().code;
  };
  CHECK(delta::partial_base(*held, {}, bytes_of({leaf})));
  CHECK(refusal(bytes_of({leaf}) + "x") == ErrorCode::kArtifact);
  CHECK(refusal(bytes_of({leaf, leaf})) == ErrorCode::kArtifact);
  CHECK(refusal(bytes_of({leaf, leaf - 1})) == ErrorCode::kArtifact);
  CHECK(refusal(bytes_of({leaf + 1})) == ErrorCode::kArtifact);
  CHECK(refusal(bytes_of({UINT64_MAX})) == ErrorCode::kArtifact);
  CHECK(refusal(bytes_of({leaf}), {model::blob_hash("package a\n")}) == ErrorCode::kArtifact);
}

TEST_CASE("an inventory of files that no tree has together costs its sender some of them") {
  SUBCASE("two contents of one path") {
    const model::TreePtr one = tree_of({{"a", "1"}, {"b", "x"}}), two = tree_of({{"a", "2"}});
    const auto [low, high] = std::minmax(leaf_at(*one, "a"), leaf_at(*two, "a"));
    std::set<uint64_t> leaves{low, high, leaf_at(*one, "b")};
    const delta::CommonBase common = common_of(listed({leaves.begin(), leaves.end()}), {one, two});
    CHECK(common.tree->files().size() == 2);
    CHECK(common.excluded_leaves == bytes_of({high}));
  }
  SUBCASE("a file where a folder is") {
    const model::TreePtr one = tree_of({{"a", "1"}}), two = tree_of({{"a/b", "2"}});
    const auto [low, high] = std::minmax(leaf_at(*one, "a"), leaf_at(*two, "a/b"));
    const delta::CommonBase common = common_of(listed({low, high}), {one, two});
    CHECK(common.tree->files().empty());
    CHECK(common.excluded_leaves == bytes_of({low, high}));
  }
}

// When two files of one tree collide, both ends leave out both.
TEST_CASE("files whose leaves collide do not count as held") {
  const delta::LeafIndex::LeafFunction by_content = [](std::string_view, const Hash& blob) {
    return uint64_t{blob.bytes[0]};
  };
  Texts texts = kHeld;
  texts["e/a.rego"] = texts["f/a.rego"] = texts["a.rego"];
  const model::TreePtr held = tree_of(texts);
  const delta::LeafIndex node(held, {}, by_content);
  CHECK(node.held().size() == 3);
  CHECK(node.find(model::blob_hash("package a\n").bytes[0]) == nullptr);
  CHECK(node.find(model::blob_hash("{}").bytes[0])->first == "d/data.json");
  const std::vector<delta::LeafIndexPtr> candidates{
      std::make_shared<const delta::LeafIndex>(held, std::set<Hash>{}, by_content)};
  const auto found =
      delta::find_common(delta::take_inventory(node, delta::InventoryForm::kListed), candidates);
  REQUIRE((found && *found));
  CHECK((*found)->tree->files().size() == 3);
  const auto base = delta::partial_base(node, (*found)->excluded_leaves);
  REQUIRE(base);
  CHECK(base->content_root() == (*found)->tree->content_root());
}

TEST_CASE("a leaf is in one cell of each partition of a sketch") {
  constexpr uint64_t kLeaf = 0x0123456789abcdef;
  delta::LeafSketch sketch;
  CHECK(sketch.encode() == Bytes(delta::kSketchBytes, '\0'));
  sketch.add(kLeaf);
  const Bytes bytes = sketch.encode();
  const auto numbers = [](uint64_t leaf) {  // SplitMix64
    SeededRandom random(leaf);
    return std::array{random.next_u64(), random.next_u64(), random.next_u64()};
  }(kLeaf);
  const std::array<uint64_t, 4> words{numbers[0] >> 32, numbers[0] & 0xffffffff, numbers[1] >> 32,
                                      numbers[1] & 0xffffffff};
  const Bytes cell = bytes_of({kLeaf}) + bytes_of({numbers[2] >> 40}).substr(5) + "\x01";
  Bytes expected(delta::kSketchBytes, '\0');
  for (size_t j = 0; j < 4; ++j)
    expected.replace(12 * (360 * j + (words[j] * 360 >> 32)), 12, cell);
  CHECK(bytes == expected);
}

TEST_CASE("a sketch of one leaf that lacks a cell is not read for ever") {
  delta::LeafSketch sketch;
  sketch.add(42);
  REQUIRE(sketch.read());
  CHECK(sketch.read()->here == std::vector<uint64_t>{42});
  const Bytes bytes = sketch.encode();
  size_t cells = 0;
  for (size_t at = 0; at < bytes.size(); at += 12) {
    Bytes broken = bytes;
    broken.replace(at, 12, 12, '\0');
    if (broken == bytes) continue;
    ++cells;
    CHECK_FALSE(delta::LeafSketch::decode(broken)->read());
  }
  CHECK(cells == 4);
}

TEST_CASE("a sketch that reads as what its sender cannot hold is not believed") {
  const model::TreePtr tree = tree_of(kHeld);
  const uint64_t leaf = leaf_at(*tree, "a.rego");
  const auto answer = [&](const delta::LeafSketch& sketch, uint64_t files) {
    const auto found =
        delta::find_common({files, {}, sketch.encode()}, std::vector<model::TreePtr>{tree});
    REQUIRE(found);
    return found->has_value();
  };
  const delta::LeafIndex held(tree);
  const auto honest = *delta::LeafSketch::decode(samples::sketched(held).sketch);
  CHECK(answer(honest, 4));
  CHECK_FALSE(answer(honest, 5));
  delta::LeafSketch more = honest;
  more.add(~leaf);
  CHECK(answer(more, 5));
  // A leaf of the candidate more often than it can occur.
  delta::LeafSketch twice = honest;
  twice.add(leaf);
  CHECK_FALSE(answer(twice, 5));
  // A negative count of a leaf that the candidate does not have.
  delta::LeafSketch one, less = honest;
  one.add(~leaf);
  less.subtract(one);
  for (const uint64_t files : {3, 4, 5}) CHECK_FALSE(answer(less, files));
}
