// Untrusted inventories, and answers to them. The first byte chooses: 0 a list, 1 and 2 a sketch
// (of a candidate's files, or of nothing) that the rest edits, 3 an answer. Each is refused, or its
// result contains only files that this side has.
#include "common/assert.hpp"
#include "tests/fuzz/artifact_samples.hpp"
#include "tests/support/wire/inventory_samples.hpp"

namespace {

using namespace notp;

const std::vector<model::TreePtr>& candidates() {
  static const std::vector<model::TreePtr> trees{
      samples::model_of(samples::fuzz_base_texts()).tree,
      samples::model_of(samples::fuzz_target_texts()).tree};
  return trees;
}

void check_answer_to(const delta::Inventory& inventory) {
  static const std::vector<delta::LeafIndexPtr> indexes{
      std::make_shared<delta::LeafIndex>(candidates()[0]),
      std::make_shared<delta::LeafIndex>(candidates()[1])};
  const auto found = delta::find_common(inventory, indexes);
  NOTP_ASSERT(found.has_value() == delta::check_inventory(inventory).has_value(),
              "a refusal of an inventory that is well formed");
  if (!found) {
    NOTP_ASSERT(found.error().code == ErrorCode::kMessage, "a refusal with a foreign code");
    return;
  }
  NOTP_ASSERT(*found || !inventory.sketch.empty(), "a list that cannot be read");
  if (*found)
    NOTP_ASSERT(samples::flaw_of(**found, inventory, candidates()).empty(),
                "an answer that is not of this inventory");
}

// The first byte, signed, is added to the number of leaves.
void check_list(ByteView input) {
  if (input.empty()) return;
  const ByteView list = input.substr(1);
  check_answer_to({list.size() / 8 + static_cast<uint64_t>(static_cast<signed char>(input[0])),
                   Bytes(list),
                   {}});
}

// The first byte is the number of leaves. Then edits: 0 and a leaf to be added; otherwise the
// offset of a byte (2 bytes) and its new value.
void check_sketch(delta::LeafSketch sketch, ByteView input) {
  if (input.empty()) return;
  const auto files = static_cast<unsigned char>(input[0]);
  std::vector<std::pair<size_t, char>> bytes;
  for (input.remove_prefix(1); input.size() >= 4;) {
    if (input[0] != 0) {
      const auto place = samples::leaves_in(Bytes(6, '\0') + Bytes(input.substr(1, 2)))[0];
      bytes.emplace_back(place % delta::kSketchBytes, input[3]);
      input.remove_prefix(4);
    } else if (input.size() >= 9) {
      sketch.add(samples::leaves_in(input.substr(1, 8))[0]);
      input.remove_prefix(9);
    } else {
      break;
    }
  }
  delta::Inventory inventory{files, {}, sketch.encode()};
  for (const auto& [place, value] : bytes) inventory.sketch[place] = value;
  check_answer_to(inventory);
}

void check_partial_base(ByteView excluded_leaves) {
  static const delta::LeafIndex held(candidates()[0]);
  const auto base = delta::partial_base(held, excluded_leaves);
  if (!base) {
    NOTP_ASSERT(base.error().code == ErrorCode::kArtifact, "a refusal with a foreign code");
    return;
  }
  NOTP_ASSERT(base->files().size() + excluded_leaves.size() / 8 == held.held().size(),
              "a partial base with other leaves than it should be without");
  for (const auto& file : base->files())
    NOTP_ASSERT(held.find(delta::leaf_of(file.first, file.second.hash)) != nullptr,
                "a partial base with a file that is not held");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ByteView rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      check_list(rest);
      break;
    case 1:
      check_sketch(
          *delta::LeafSketch::decode(samples::sketched(delta::LeafIndex(candidates()[0])).sketch),
          rest);
      break;
    case 2:
      check_sketch({}, rest);
      break;
    default:
      check_partial_base(rest);
  }
  return 0;
}
