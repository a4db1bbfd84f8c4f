// The tree over records, and the names of logs and decisions.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <set>

#include "common/limits.hpp"
#include "common/random.hpp"
#include "protocol/record/log_id.hpp"
#include "protocol/record/tree.hpp"

using namespace notp;
using namespace notp::record;

namespace {

// RFC 9162 §2.1.1 as it is written.
Hash naive_root(std::span<const Hash> leaves) {
  if (leaves.empty()) return sha256({});
  if (leaves.size() == 1) return leaves[0];
  const size_t left = std::bit_floor(leaves.size() - 1);
  return node_hash(naive_root(leaves.first(left)), naive_root(leaves.subspan(left)));
}

std::vector<Hash> some_leaves(size_t count) {
  std::vector<Hash> out;
  for (size_t i = 0; i < count; ++i) out.push_back(sha256("leaf " + std::to_string(i)));
  return out;
}

Frontier frontier_of(std::span<const Hash> leaves) {
  Frontier out;
  for (const Hash& leaf : leaves) out.append(leaf);
  return out;
}

Hash hash_of(std::string_view hex) { return *Hash::from_hex(hex); }

std::vector<Hash> hashes_of(std::initializer_list<std::string_view> hex) {
  std::vector<Hash> out;
  for (const std::string_view each : hex) out.push_back(hash_of(each));
  return out;
}

// The leaves of the known answers of Certificate Transparency (RFC 6962), without a salt.
std::vector<Hash> known_leaves() {
  std::vector<Hash> out;
  for (const std::string_view hex : {"", "00", "10", "2021", "3031", "40414243", "5051525354555657",
                                     "606162636465666768696a6b6c6d6e6f"})
    out.push_back(leaf_hash("", *from_hex(hex)));
  return out;
}

}  // namespace

TEST_CASE("the known answers of RFC 6962: roots") {
  const auto leaves = known_leaves();
  const auto roots =
      hashes_of({"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                 "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                 "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
                 "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
                 "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                 "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
                 "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
                 "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
                 "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"});
  for (size_t size = 0; size < roots.size(); ++size)
    CHECK(frontier_of(std::span(leaves).first(size)).root() == roots[size]);
}

TEST_CASE("the known answers of RFC 6962: inclusion") {
  const auto leaves = known_leaves();
  const auto proof = [&](size_t index, size_t size) {
    return inclusion_proof(index, std::span(leaves).first(size));
  };
  CHECK(proof(0, 1).empty());
  CHECK(proof(0, 8) ==
        hashes_of({"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                   "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                   "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}));
  CHECK(proof(5, 8) ==
        hashes_of({"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                   "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                   "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}));
  CHECK(proof(2, 3) ==
        hashes_of({"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"}));
  CHECK(proof(1, 5) ==
        hashes_of({"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                   "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                   "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}));
}

TEST_CASE("a frontier has the root of the whole tree, also when it is stored between") {
  const auto leaves = some_leaves(300);
  Frontier tree;
  for (size_t size = 0; size <= leaves.size(); ++size) {
    CHECK(tree.size() == size);
    CHECK(tree.root() == naive_root(std::span(leaves).first(size)));
    const auto again = Frontier::decode(tree.encode());
    REQUIRE(again);
    CHECK(*again == tree);
    if (size < leaves.size()) tree.append(leaves[size]);
  }
}

TEST_CASE("a tree is extended by the roots of the subtrees that its next leaves make up") {
  constexpr size_t kMax = 70;
  const auto leaves = some_leaves(2 * kMax);
  for (size_t first = 0; first <= kMax; ++first)
    for (size_t count = 0; count <= kMax; ++count) {
      const auto next = std::span(leaves).subspan(first, count);
      std::vector<Hash> hashes = subtrees(first, next);
      REQUIRE(hashes.size() == subtree_count(first, count));
      Frontier tree = frontier_of(std::span(leaves).first(first));
      const Frontier before = tree;
      hashes.push_back(Hash());
      CHECK_FALSE(tree.extend(count, hashes));
      CHECK(tree == before);
      hashes.pop_back();
      REQUIRE(tree.extend(count, hashes));
      CHECK(tree == frontier_of(std::span(leaves).first(first + count)));
    }
}

TEST_CASE("a tree neither ends beyond the last position nor is read so") {
  Frontier tree = *Frontier::decode([] {
    Bytes bytes;
    put_varint(bytes, limits::kPositionMax - 1);
    return bytes.append(47 * Hash::kSize, 'h');
  }());
  CHECK(tree.size() == limits::kPositionMax - 1);
  const std::vector<Hash> hashes(subtree_count(tree.size(), 2));
  CHECK_FALSE(tree.extend(2, hashes));
  CHECK_FALSE(tree.extend(UINT64_MAX, {}));
  CHECK(tree.extend(1, subtrees(tree.size(), some_leaves(1))));
  Bytes beyond;
  put_varint(beyond, limits::kPositionMax + 1);
  CHECK_FALSE(Frontier::decode(beyond + Bytes(Hash::kSize, 'h')));
  CHECK_FALSE(Frontier::decode(""));
  CHECK_FALSE(Frontier::decode("\x03" + Bytes(Hash::kSize, 'h')));
  CHECK_FALSE(Frontier::decode("\x03" + Bytes(3 * Hash::kSize, 'h')));
  CHECK_FALSE(Frontier::decode("\x01" + Bytes(Hash::kSize - 1, 'h')));
  CHECK_FALSE(Frontier::decode(Bytes("\x81\x00", 2) + Bytes(Hash::kSize, 'h')));
  CHECK(subtree_count(UINT64_MAX, UINT64_MAX) <= 128);
}

TEST_CASE("an inclusion proof verifies for its leaf, place and size only") {
  constexpr size_t kMax = 40;
  const auto leaves = some_leaves(kMax);
  for (size_t size = 1; size <= kMax; ++size) {
    const auto tree = std::span(leaves).first(size);
    const Hash root = naive_root(tree);
    for (size_t index = 0; index < size; ++index) {
      std::vector<Hash> proof = inclusion_proof(index, tree);
      CHECK(verify_inclusion(leaves[index], index, size, proof, root));
      CHECK_FALSE(verify_inclusion(leaves[(index + 1) % kMax], index, size, proof, root));
      CHECK_FALSE(verify_inclusion(leaves[index], index, size, proof, sha256("other")));
      for (size_t other = 0; other <= size; ++other)
        if (other != index) CHECK_FALSE(verify_inclusion(leaves[index], other, size, proof, root));
      proof.push_back(root);
      CHECK_FALSE(verify_inclusion(leaves[index], index, size, proof, root));
      proof.pop_back();
      for (Hash& sibling : proof) {
        sibling.bytes[31] ^= 1;
        CHECK_FALSE(verify_inclusion(leaves[index], index, size, proof, root));
        sibling.bytes[31] ^= 1;
      }
      if (!proof.empty()) {
        proof.pop_back();
        CHECK_FALSE(verify_inclusion(leaves[index], index, size, proof, root));
      }
    }
  }
  CHECK_FALSE(verify_inclusion(leaves[0], 0, 0, {}, leaves[0]));
  CHECK_FALSE(verify_inclusion(leaves[0], UINT64_MAX, UINT64_MAX, {}, leaves[0]));
}

TEST_CASE("salts follow from the secret and the position") {
  const Bytes secret(kSegmentSecretBytes, '\x07');
  const Bytes input = secret + Bytes("\0\0\0\0\0\x01\x02\x03", 8);
  CHECK(leaf_salt(secret, 0x010203) == sha256(input).view().substr(0, kSaltBytes));
  CHECK(leaf_salt(secret, 1) != leaf_salt(secret, 2));
  CHECK(leaf_hash("salt", "record") == sha256(Bytes(1, '\0') + "saltrecord"));
}

// --- names

TEST_CASE("a log is named after its key") {
  const PublicKey key = PrivateKey::from_seed({}).public_key();
  const LogId id = LogId::of(key);
  CHECK(id.view() == sha256(key.view()).view().substr(0, LogId::kSize));
  CHECK(LogId::from_bytes(id.view()) == id);
  CHECK(LogId::from_hex(id.hex()) == id);
  CHECK_FALSE(LogId::from_bytes(id.view().substr(1)));
  CHECK_FALSE(LogId::from_hex(id.hex() + "00"));
  CHECK_FALSE(LogId::from_hex("x"));
}

TEST_CASE("the address of a decision comes back from its text") {
  SeededRandom random(1);
  std::set<std::string> texts;
  for (int i = 0; i < 1'000; ++i) {
    LogId log;
    for (uint8_t& byte : log.bytes) byte = static_cast<uint8_t>(random.next_u64());
    const auto address = DecisionAddress::of(
        log, static_cast<uint32_t>(random.below(limits::kRunMax + 1)),
        i == 0 ? limits::kPositionMax : random.below(limits::kPositionMax >> random.below(48)));
    const std::string text = address.text();
    texts.insert(text);
    CHECK(text.size() == 36);
    CHECK(text[14] == '8');
    CHECK(std::string_view("89ab").contains(text[19]));
    const auto parsed = DecisionAddress::parse(text);
    REQUIRE(parsed);
    CHECK(*parsed == address);
    std::string upper = text;
    std::ranges::transform(upper, upper.begin(),
                           [](char c) { return c >= 'a' ? static_cast<char>(c - 32) : c; });
    CHECK(DecisionAddress::parse(upper) == address);
  }
  CHECK(texts.size() == 1'000);
}

TEST_CASE("a mistyped address is found") {
  SeededRandom random(2);
  size_t tried = 0, passed = 0;
  for (int i = 0; i < 50; ++i) {
    LogId log;
    for (uint8_t& byte : log.bytes) byte = static_cast<uint8_t>(random.next_u64());
    const std::string text =
        DecisionAddress::of(log, 1, random.below(limits::kPositionMax + 1)).text();
    const auto is_found = [&](const std::string& wrong) {
      return wrong == text || !DecisionAddress::parse(wrong);
    };
    for (size_t at = 0; at < text.size(); ++at) {
      for (const char c : std::string_view("0123456789abcdef-"))
        CHECK(is_found(std::string(text).replace(at, 1, 1, c)));
      std::string swapped = text;
      if (at > 0) std::swap(swapped[at - 1], swapped[at]);
      CHECK(is_found(swapped));
      CHECK(is_found(std::string(text).erase(at, 1)));
    }
    // Several wrong characters anywhere are found but for one of 2^14.
    for (int j = 0; j < 2'000; ++j, ++tried) {
      std::string wrong = text;
      for (int k = 0; k < 4; ++k) {
        char& c = wrong[random.below(wrong.size())];
        if (c != '-') c = "0123456789abcdef"[random.below(16)];
      }
      if (!is_found(wrong)) ++passed;
    }
  }
  CHECK(passed < tried * 4 / (1 << 14));
}

TEST_CASE("another kind of UUID is no address") {
  for (const std::string_view text :
       {"", "4ca636c1-55e4-417a-b1d8-4aceb67960d1", "00000000-0000-8000-8000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff", "{4ca636c1-55e4-817a-b1d8-4aceb67960d1}",
        "4ca636c155e4817ab1d84aceb67960d1----", "4ca636c1-55e4-817a-b1d8-4aceb67960dg"})
    CHECK_FALSE(DecisionAddress::parse(text));
}
