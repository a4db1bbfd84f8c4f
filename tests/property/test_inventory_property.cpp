#include <doctest/doctest.h>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "common/random.hpp"
#include "tests/support/wire/inventory_samples.hpp"

namespace {

using namespace notp;
using samples::flaw_of;
using samples::sketched;

constexpr uint64_t kSeeds = 150;

model::TreePtr tree_of(model::Files files) {
  auto tree = model::Tree::make(std::move(files));
  NOTP_ASSERT(tree.has_value(), "a sample model breaks a rule");
  return std::make_shared<const model::Tree>(*std::move(tree));
}

model::FileEntry random_content(Random& random) {
  const std::string text = std::to_string(random.below(1'000'000));
  return {model::blob_hash(text), text.size()};
}

// Names of files and folders never clash.
std::string random_path(Random& random) {
  std::string out;
  for (uint64_t depth = random.below(3); depth > 0; --depth)
    out += "d" + std::to_string(random.below(5)) + "/";
  return out + "f" + std::to_string(random.below(2000));
}

model::Files random_files(Random& random, uint64_t count) {
  model::Files out;
  while (out.size() < count) out.insert_or_assign(random_path(random), random_content(random));
  return out;
}

void edit(Random& random, model::Files& files) {
  if (files.empty() || random.below(6) == 0) {
    files.insert_or_assign(random_path(random), random_content(random));
    return;
  }
  const auto file = std::next(files.begin(), static_cast<ptrdiff_t>(random.below(files.size())));
  switch (random.below(5)) {
    case 0:
      files.erase(file);
      return;
    case 1:
      files.insert_or_assign(random_path(random), model::FileEntry(file->second));  // a copy
      return;
    case 2: {
      const model::FileEntry entry = file->second;
      files.erase(file);
      files.insert_or_assign(random_path(random), entry);  // a rename
      return;
    }
    case 3: {  // a folder with a few files is renamed
      const std::string from = file->first.substr(0, file->first.rfind('/') + 1);
      if (from.empty()) return;
      const std::string to = "d" + std::to_string(random.below(9)) + "/";
      model::Files moved;
      for (const auto& [path, entry] : files)
        moved[path.starts_with(from) ? to + path.substr(from.size()) : path] = entry;
      files = std::move(moved);
      return;
    }
    default:
      file->second = random_content(random);
  }
}

model::Files edited(Random& random, model::Files files, uint64_t edits) {
  while (edits-- > 0) edit(random, files);
  return files;
}

std::set<Hash> random_lacks(Random& random, const model::Files& files) {
  std::set<Hash> out;
  if (random.below(2) == 0) return out;
  for (const auto& [path, entry] : files)
    if (random.below(20) == 0) out.insert(entry.hash);
  return out;
}

model::Files held_of(const model::Tree& tree, const std::set<Hash>& missing_blobs) {
  model::Files out;
  for (const auto& file : tree.files())
    if (!missing_blobs.contains(file.second.hash)) out.insert(file);
  return out;
}

// By definition, without leaves.
model::Files common_of(const model::Files& held, const std::vector<model::TreePtr>& candidates) {
  model::Files out;
  for (const auto& file : held)
    for (const model::TreePtr& tree : candidates)
      if (const model::FileEntry* found = tree->find(file.first); found && *found == file.second)
        out.insert(file);
  return out;
}

uint64_t difference_of(const model::Files& one, const model::Files& other) {
  uint64_t same = 0;
  for (const auto& [path, entry] : one) {
    const auto found = other.find(path);
    if (found != other.end() && found->second == entry) ++same;
  }
  return one.size() + other.size() - 2 * same;
}

// Both ends agree on their common files. False: the sketch could not be decoded.
bool check_agreement(const delta::Inventory& inventory, const model::TreePtr& held,
                     const std::set<Hash>& missing_blobs,
                     const std::vector<model::TreePtr>& candidates) {
  REQUIRE(delta::check_inventory(inventory));
  const auto found = delta::find_common(inventory, candidates);
  REQUIRE(found);
  if (!*found) return false;
  const delta::CommonBase& common = **found;
  CHECK(flaw_of(common, inventory, candidates) == "");
  CHECK((common.tree->files() == common_of(held_of(*held, missing_blobs), candidates)));
  const auto base = delta::partial_base(*held, missing_blobs, common.excluded_leaves);
  REQUIRE(base);
  CHECK(base->content_root() == common.tree->content_root());
  return true;
}

struct Scene {
  model::TreePtr held;
  std::set<Hash> missing_blobs;
  std::vector<model::TreePtr> candidates;
  uint64_t nearest = UINT64_MAX;  // leaves that differ from the nearest candidate
};

Scene random_scene(Random& random, uint64_t files_max) {
  Scene out;
  const model::Files files = random_files(random, random.below(files_max));
  out.held = tree_of(files);
  out.missing_blobs = random_lacks(random, files);
  const model::Files held = held_of(*out.held, out.missing_blobs);
  for (uint64_t count = random.below(5); count > 0; --count) {
    const bool is_related = random.below(3) != 0;
    out.candidates.push_back(tree_of(is_related ? edited(random, files, random.below(60))
                                                : edited(random, {}, 1 + random.below(files_max))));
    out.nearest = std::min(out.nearest, difference_of(held, out.candidates.back()->files()));
  }
  return out;
}

}  // namespace

TEST_CASE("both ends agree on the same partial base, whatever they hold") {
  uint64_t read = 0, unreadable = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    const Scene scene = random_scene(random, seed % 3 == 0 ? 1500 : 100);
    const delta::LeafIndex held(scene.held, scene.missing_blobs);
    CHECK(check_agreement(delta::take_inventory(held, delta::InventoryForm::kListed), scene.held,
                          scene.missing_blobs, scene.candidates));
    if (held.held().empty()) continue;
    const bool is_read =
        check_agreement(sketched(held), scene.held, scene.missing_blobs, scene.candidates);
    ++(is_read ? read : unreadable);
    if (scene.nearest <= 1000) CHECK(is_read);
    if (scene.nearest > 1440) CHECK_FALSE(is_read);
  }
  CHECK(read > kSeeds / 4);
  CHECK(unreadable > kSeeds / 20);
}

TEST_CASE("a large inventory is sketched first, and listed when its sketch cannot be read") {
  SeededRandom random(1);
  model::Files files;
  while (files.size() <= limits::kInventoryListedMax)
    files["d" + std::to_string(files.size() % 100) + "/f" + std::to_string(files.size())] =
        random_content(random);
  const model::TreePtr held = tree_of(files);
  const auto sketch = delta::take_inventory(*held, {}, delta::InventoryForm::kShortest);
  CHECK(sketch.sketch.size() == delta::kSketchBytes);
  CHECK(sketch.list.empty());
  model::Files near = files, far = files;
  uint64_t edits = 0;
  for (auto& [path, entry] : near)
    if (++edits <= 450) entry = random_content(random);
  for (auto& [path, entry] : far)
    if (++edits % 10 == 0) entry = random_content(random);
  const model::TreePtr near_tree = tree_of(near), far_tree = tree_of(far);
  CHECK(check_agreement(sketch, held, {}, {near_tree}));
  CHECK(check_agreement(sketch, held, {}, {far_tree, near_tree}));
  CHECK_FALSE(check_agreement(sketch, held, {}, {far_tree}));
  const auto list = delta::take_inventory(*held, {}, delta::InventoryForm::kListed);
  CHECK(list.list.size() == 8 * files.size());
  CHECK(check_agreement(list, held, {}, {far_tree}));
  // With one file less, it is short enough for a list.
  const auto less =
      delta::take_inventory(*held, {files.begin()->second.hash}, delta::InventoryForm::kShortest);
  CHECK(less.list.size() == 8 * limits::kInventoryListedMax);
  CHECK(less.sketch.empty());
}

TEST_CASE("a difference of up to 1,000 leaves is read back, of many more is not") {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    const uint64_t shared = random.below(3000);
    const uint64_t here = random.below(1001), there = random.below(1001 - here);
    delta::LeafSketch one, other;
    delta::LeafDifference expected;
    for (uint64_t i = 0; i < shared + here + there; ++i) {
      const uint64_t leaf = random.next_u64();
      if (i < shared + here) one.add(leaf);
      if (i < shared || i >= shared + here) other.add(leaf);
      if (i >= shared) (i < shared + here ? expected.here : expected.there).push_back(leaf);
    }
    std::ranges::sort(expected.here);
    std::ranges::sort(expected.there);
    const auto received = delta::LeafSketch::decode(one.encode());
    REQUIRE(received);
    delta::LeafSketch difference = *received;
    difference.subtract(other);
    const auto read = difference.read();
    REQUIRE(read);
    CHECK(read->here == expected.here);
    CHECK(read->there == expected.there);
    for (uint64_t i = here + there; i < 1500; ++i) difference.add(random.next_u64());
    CHECK_FALSE(difference.read());
  }
}

TEST_CASE("an inventory of anything gets an answer of what the registry has") {
  uint64_t answered = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    std::vector<model::TreePtr> candidates;
    std::set<uint64_t> leaves;
    for (int i = 0; i < 3; ++i) {
      candidates.push_back(tree_of(random_files(random, random.below(40))));
      for (const auto& [path, entry] : candidates.back()->files())
        if (random.below(2) == 0) leaves.insert(delta::leaf_of(path, entry.hash));
    }
    for (uint64_t foreign = random.below(20); foreign > 0; --foreign)
      leaves.insert(random.next_u64());
    delta::Inventory list{leaves.size(), samples::list_of({leaves.begin(), leaves.end()}), {}};
    const auto answer = delta::find_common(list, candidates);
    REQUIRE((answer && *answer));
    CHECK(flaw_of(**answer, list, candidates) == "");

    delta::Inventory sketch = sketched(delta::LeafIndex(candidates[0]));
    for (uint64_t flips = random.below(20); flips > 0; --flips)
      sketch.sketch[random.below(delta::kSketchBytes)] = static_cast<char>(random.next_u64());
    sketch.files += random.below(3);
    const auto guess = delta::find_common(sketch, candidates);
    if (!guess || !*guess) continue;
    CHECK(flaw_of(**guess, sketch, candidates) == "");
    ++answered;
  }
  CHECK(answered < kSeeds / 4);
}

TEST_CASE("cells that are lost or moved do not make a sketch of something else") {
  const model::TreePtr none = tree_of({});
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    const uint64_t leaves = 1 + random.below(1000);
    delta::LeafSketch sketch;
    for (uint64_t i = 0; i < leaves; ++i) sketch.add(random.next_u64());
    const Bytes sent = sketch.encode();
    delta::Inventory inventory{leaves, {}, sent};
    for (uint64_t edits = 1 + random.below(300); edits > 0; --edits) {
      const Bytes cell = random.below(2) == 0
                             ? Bytes(12, '\0')
                             : sent.substr(12 * random.below(delta::kSketchBytes / 12), 12);
      inventory.sketch.replace(12 * random.below(delta::kSketchBytes / 12), 12, cell);
    }
    if (inventory.sketch == sent) continue;
    const auto found = delta::find_common(inventory, std::vector<model::TreePtr>{none});
    REQUIRE(found);
    CHECK_FALSE(*found);
  }
}
