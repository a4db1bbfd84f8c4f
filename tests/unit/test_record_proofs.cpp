// Proofs from a store of hashes, cosignatures, the leaves of the registry's tree, and the texts of
// C2SP.
#include <doctest/doctest.h>

#include <bit>

#include "common/limits.hpp"
#include "protocol/record/checkpoint.hpp"
#include "protocol/record/tlog_proof.hpp"
#include "protocol/record/tree.hpp"
#include "protocol/record/tree_entry.hpp"

namespace notp::record {
namespace {

std::vector<Hash> some_leaves(size_t count) {
  std::vector<Hash> out;
  for (size_t i = 0; i < count; ++i) out.push_back(sha256("leaf " + std::to_string(i)));
  return out;
}

Hash root_of(std::span<const Hash> leaves) {
  Frontier tree;
  for (const Hash& leaf : leaves) tree.append(leaf);
  return tree.root();
}

SubtreeSource source_of(const std::vector<Hash>& leaves) {
  return [&leaves](uint64_t first, uint64_t count) -> Result<Hash> {
    CHECK(std::has_single_bit(count));
    CHECK(first % count == 0);
    return root_of(std::span(leaves).subspan(first, count));
  };
}

const PrivateKey kKey = PrivateKey::from_seed({7}), kWitness = PrivateKey::from_seed({8});

std::string a_note() {
  return sign_checkpoint({"core.internal/decisions/registry/0a", 5, sha256("root")}, kKey);
}

}  // namespace

TEST_CASE("proofs of inclusion from a store are those from the leaves, for every tree up to 70") {
  const std::vector<Hash> leaves = some_leaves(70);
  for (size_t size = 1; size <= leaves.size(); ++size) {
    const std::span tree = std::span(leaves).first(size);
    for (size_t index = 0; index < size; ++index) {
      const auto proof = inclusion_proof(index, size, source_of(leaves));
      REQUIRE(proof);
      CHECK(*proof == inclusion_proof(index, tree));
      CHECK(verify_inclusion(leaves[index], index, size, *proof, root_of(tree)));
    }
  }
}

TEST_CASE("every two trees up to 70 are proven consistent, and no other root, size or proof is") {
  const std::vector<Hash> leaves = some_leaves(70);
  for (size_t size = 0; size <= leaves.size(); ++size) {
    const Hash root = root_of(std::span(leaves).first(size));
    for (size_t old_size = 0; old_size <= size; ++old_size) {
      const Hash old_root = root_of(std::span(leaves).first(old_size));
      const auto proof = consistency_proof(old_size, size, source_of(leaves));
      REQUIRE(proof);
      CHECK(proof->size() <= limits::kProofHashesMax);
      CHECK(verify_consistency(old_size, old_root, size, root, *proof));
      if (old_size == 0) continue;
      const Hash other = sha256("another root");
      CHECK_FALSE(verify_consistency(old_size, other, size, root, *proof));
      CHECK_FALSE(verify_consistency(old_size, old_root, size, other, *proof));
      if (old_size == size) continue;
      CHECK_FALSE(verify_consistency(size, root, old_size, old_root, *proof));
      CHECK_FALSE(verify_consistency(old_size, old_root, size, root, {}));
      for (size_t i = 0; i < proof->size(); ++i) {
        std::vector<Hash> changed = *proof;
        changed[i] = other;
        CHECK_FALSE(verify_consistency(old_size, old_root, size, root, changed));
      }
      std::vector<Hash> longer = *proof;
      longer.push_back(other);
      CHECK_FALSE(verify_consistency(old_size, old_root, size, root, longer));
    }
  }
}

TEST_CASE("a leaf behind a frontier is proven without the leaves before it") {
  const std::vector<Hash> leaves = some_leaves(90);
  for (size_t before = 0; before < 45; ++before) {
    Frontier tree;
    for (size_t i = 0; i < before; ++i) tree.append(leaves[i]);
    for (const size_t size : {before + 1, before + 2, before + 17, before + 45}) {
      const std::span added = std::span(leaves).subspan(before, size - before);
      const Hash root = root_of(std::span(leaves).first(size));
      for (size_t index = before; index < size; ++index)
        CHECK(verify_inclusion(leaves[index], index, size, inclusion_proof(tree, added, index),
                               root));
    }
  }
}

TEST_CASE("a frontier knows its subtrees and no others") {
  const std::vector<Hash> leaves = some_leaves(7);
  Frontier tree;
  for (const Hash& leaf : leaves) tree.append(leaf);
  CHECK(tree.subtree(0, 4) == root_of(std::span(leaves).first(4)));
  CHECK(tree.subtree(4, 2) == root_of(std::span(leaves).subspan(4, 2)));
  CHECK(tree.subtree(6, 1) == leaves[6]);
  CHECK_FALSE(tree.subtree(0, 2));
  CHECK_FALSE(tree.subtree(4, 1));
  CHECK_FALSE(tree.subtree(7, 1));
}

TEST_CASE("a cosignature says when, and is of one key, one note and one time") {
  const std::string note = a_note();
  const auto signature = cosign(note, 1'790'000'000, kWitness);
  REQUIRE(signature);
  CHECK(verify_cosignature(note, 1'790'000'000, *signature, kWitness.public_key()));
  CHECK_FALSE(verify_cosignature(note, 1'790'000'001, *signature, kWitness.public_key()));
  CHECK_FALSE(verify_cosignature(note, 1'790'000'000, *signature, kKey.public_key()));
  const std::string other =
      sign_checkpoint({"core.internal/decisions/registry/0a", 6, sha256("root")}, kKey);
  CHECK_FALSE(verify_cosignature(other, 1'790'000'000, *signature, kWitness.public_key()));

  const auto cosigned = add_cosignature(note, {"witness.example/w1", 1'790'000'000, *signature},
                                        kWitness.public_key());
  REQUIRE(cosigned);
  CHECK(cosigned->starts_with(note));
  CHECK(cosigned_at(*cosigned, "witness.example/w1", kWitness.public_key()) == 1'790'000'000);
  CHECK_FALSE(cosigned_at(*cosigned, "witness.example/w2", kWitness.public_key()));
  CHECK_FALSE(cosigned_at(note, "witness.example/w1", kWitness.public_key()));
  CHECK(verify_checkpoint(*cosigned, kKey.public_key()));
  CHECK(signer_names(*cosigned) ==
        std::vector<std::string>{"core.internal/decisions/registry/0a", "witness.example/w1"});
  // A later one of the same key takes its place.
  const auto later = cosign(note, 1'790'000'060, kWitness);
  const auto again = add_cosignature(*cosigned, {"witness.example/w1", 1'790'000'060, *later},
                                     kWitness.public_key());
  REQUIRE(again);
  CHECK(signer_names(*again).size() == 2);
  CHECK(cosigned_at(*again, "witness.example/w1", kWitness.public_key()) == 1'790'000'060);
}

TEST_CASE("a note holds so many cosignatures and no more") {
  std::string note = a_note();
  for (size_t i = 0; i < limits::kCosignaturesMax; ++i) {
    const PrivateKey key = PrivateKey::from_seed({static_cast<uint8_t>(100 + i)});
    const auto signature = cosign(note, 1, key);
    const auto more =
        add_cosignature(note, {"w" + std::to_string(i), 1, *signature}, key.public_key());
    REQUIRE(more);
    note = *more;
  }
  const auto signature = cosign(note, 1, kWitness);
  CHECK(add_cosignature(note, {"one.more", 1, *signature}, kWitness.public_key()).error().code ==
        ErrorCode::kLimit);
  CHECK(add_cosignature(note, {"two words", 1, *signature}, kWitness.public_key()).error().code ==
        ErrorCode::kMessage);
}

TEST_CASE("keys of logs and witnesses have a text, and a changed one is refused") {
  for (const bool cosigns : {false, true}) {
    const NamedKey key{"witness.example/w1", kWitness.public_key(), cosigns};
    const std::string text = named_key_text(key);
    const auto read = parse_named_key(text);
    REQUIRE(read);
    CHECK(read->name == key.name);
    CHECK(read->key == key.key);
    CHECK(read->cosigns == cosigns);
    for (size_t i = 0; i < text.size(); ++i) {
      std::string changed = text;
      changed[i] = changed[i] == 'A' ? 'B' : 'A';
      CHECK_FALSE(parse_named_key(changed));
    }
  }
  // The example of C2SP signed-note has Ed25519's number, 1.
  CHECK(parse_named_key("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"));
  CHECK_FALSE(parse_named_key("PeterNeumann+c74f20a3"));
  CHECK_FALSE(parse_named_key(""));
}

TEST_CASE("a proof's text is read as it was written, with extra data or without") {
  const TlogProof proof{73'894, some_leaves(5), a_note()};
  const std::string text = to_text(proof);
  CHECK(text.starts_with("c2sp.org/tlog-proof@v1\nindex 73894\n"));
  CHECK(parse_tlog_proof(text) == proof);
  std::string extra = text;
  extra.insert(extra.find("index"), "extra YWJj\n");
  CHECK(parse_tlog_proof(extra) == proof);
  CHECK(parse_tlog_proof(to_text({0, {}, a_note()})) == TlogProof{0, {}, a_note()});
  for (const std::string_view bad :
       {"", "c2sp.org/tlog-proof@v2\nindex 1\n\nx", "c2sp.org/tlog-proof@v1\nindex 01\n\nx",
        "c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\nx", "c2sp.org/tlog-proof@v1\nindex 1\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n"})
    CHECK_FALSE(parse_tlog_proof(bad));
  CHECK_FALSE(parse_tlog_proof(to_text({0, some_leaves(limits::kProofHashesMax + 1), a_note()})));
}

TEST_CASE("an entry of the registry's tree has one encoding") {
  TreeEntry checkpoint;
  checkpoint.time_ms = 1'790'000'000'000;
  checkpoint.log = LogId::of(kKey.public_key());
  checkpoint.size = 1'024;
  checkpoint.root = sha256("root");
  TreeEntry erasure;
  erasure.kind = TreeEntryKind::kErasure;
  erasure.time_ms = 1;
  erasure.log = checkpoint.log;
  erasure.first = 10;
  erasure.count = 5;
  erasure.positions = {10, 13, 14};
  erasure.hashes = some_leaves(3);
  erasure.rule = "asked for by a person";
  erasure.by = "spiffe://core.internal/admin/ada";
  TreeEntry hold;
  hold.kind = TreeEntryKind::kHold;
  hold.id = "case-7";
  hold.on = true;
  for (const TreeEntry& entry : {checkpoint, erasure, hold}) {
    const Bytes bytes = encode(entry);
    CHECK(decode_tree_entry(bytes) == entry);
    CHECK_FALSE(decode_tree_entry(bytes + '\x00'));
    CHECK_FALSE(decode_tree_entry(ByteView(bytes).substr(1)));
  }
  // A field twice: Protobuf would take the last one.
  CHECK_FALSE(decode_tree_entry(encode(hold) + Bytes("\x80\x01\x01", 3)));
  CHECK(tree_leaf("entry") == sha256(Bytes(1, '\0') + "entry"));
  TreeEntry unordered = erasure;
  unordered.positions = {13, 10, 14};
  CHECK_FALSE(decode_tree_entry(encode(unordered)));
  TreeEntry other;
  other.kind = static_cast<TreeEntryKind>(9);
  CHECK(decode_tree_entry(encode(other)).error().message ==
        "an entry of the registry's tree: kind 9 is not known to this program");
}

}  // namespace notp::record
